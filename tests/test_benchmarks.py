"""The benchmarks' proofs of equality, and their tables, JSON and chart, on small problems."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor

from pybert_crf.encoders import linear
from pybert_crf.encoders.families import FAMILIES
from pybert_crf.encoders.linear import convolution_is_faster

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import bench_crf
import bench_encoders
from crf_speed import equality, process, timing
from crf_speed.contenders import Contender, Reference
from crf_speed.equality import DisagreementError, Exam, answer, reason
from crf_speed.problem import Problem, path_scores, problem
from crf_speed.results import Results
from crf_speed.table import report, timing_rows
from crf_speed.targets import targets
from crf_speed.timing import Timing

BENCHMARKS = Path(bench_crf.__file__).parent
TINY = (4, 9, 5)


def present(kind: type[Contender]) -> type[Contender]:
    why = reason(kind)
    if why:
        pytest.skip(f"{kind.name}: {why}")
    return kind


@pytest.mark.parametrize("kind", bench_crf.ALL, ids=lambda kind: kind.name)
def test_contender_agrees(kind: type[Contender]) -> None:
    assert max(Exam(problem(TINY)).prove(present(kind))) < 1e-5


@pytest.mark.parametrize("kind", bench_crf.ALL, ids=lambda kind: kind.name)
def test_contender_agrees_on_the_shortest_rows(kind: type[Contender]) -> None:
    Exam(problem((2, 2, 3), seed=1)).prove(present(kind))


def test_the_answer_is_that_of_all_paths() -> None:
    case = problem((2, 3, 2), seed=2)
    expected = answer(case)
    for row in range(2):
        only = Problem(*(part[row : row + 1] for part in case[:4]), *case[4:]).to(torch.float64)
        length = int(only.lengths)
        paths = torch.cartesian_prod(*[torch.arange(2)] * length)
        padded = torch.nn.functional.pad(paths, (0, 3 - length))
        scores = torch.stack([path_scores(only, path[None])[0] for path in padded])
        assert expected.best[row].item() == pytest.approx(scores.max().item())
        expected = expected._replace(log_z=expected.log_z - scores.logsumexp(0))
    assert expected.log_z.item() == pytest.approx(0, abs=1e-10)


def test_long_rows_are_cut_off_in_float64_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equality, "EXACT_TIME", 5)
    question = Exam(problem(TINY))
    assert question.beginning.shape == (4, 5, 5)
    assert (question.beginning.lengths == question.beginning.mask.sum(1)).all()
    assert question.prove(Reference).path == 0
    assert question.answer.best.shape == question.answer_of_beginning.best.shape
    assert not torch.equal(question.answer.log_z, question.answer_of_beginning.log_z)


class Transposed(Reference):
    """Reads the transitions the wrong way round."""

    name = "transposed"

    def __init__(self, case: Problem) -> None:
        super().__init__(case._replace(transitions=case.transitions.T.contiguous()))


class NotANumber(Reference):
    """Has the right gradients, and no loss."""

    name = "not a number"

    def loss(self) -> Tensor:
        return super().loss() * float("nan")


class SecondBest(Reference):
    """Decodes another path."""

    name = "second best"

    def viterbi(self) -> Tensor:
        tags = super().viterbi().clone()
        tags[-1, 0] = (tags[-1, 0] + 1) % self.case.shape[2]
        return tags


class OneTagShort(Reference):
    """Loses the last tag of a path."""

    name = "one tag short"

    def decode(self) -> list[list[int]]:
        *others, last = super().decode()
        return [*others, last[:-1]]


class Imprecise(Reference):
    """Right to three digits."""

    name = "imprecise"

    def negative_log_likelihood(self) -> Tensor:
        return super().negative_log_likelihood() * 1.0005


@pytest.mark.parametrize("wrong", [Transposed, NotANumber, SecondBest, OneTagShort, Imprecise])
def test_a_contender_that_disagrees_is_named(wrong: type[Contender]) -> None:
    question = Exam(problem(TINY))
    with pytest.raises(DisagreementError, match=wrong.name):
        question.prove(wrong)


def made_up() -> Results:
    """pytorch-crf takes 100 ms for everything at two threads, native what the test says."""
    results = Results.begin()
    for shape in ((16, 256, 7), (32, 128, 29), (1, 20000, 9)):
        for threads, slower in ((1, 1.8), (2, 1.0)):
            for contender, milliseconds in (("native", 0.32), ("numba", 1.28), ("pytorch-crf", 100.0)):
                for operation in ("loss_backward", "decode"):
                    seconds = milliseconds / 1e3 * slower
                    results.timings.append(Timing(shape, threads, operation, contender, seconds, seconds, 3))
            row = Timing(shape, threads, "viterbi", "native", 2e-4 * slower, 1e-4, 3)
            results.timings.append(row)
    results.errors.append(
        {"contender": "native", "shape": (16, 256, 7), "loss": 1e-8, "emissions": 2e-8}
        | {"transitions": 3e-8, "path": 0.0}
    )
    results.skipped.append({"contender": "torch-struct", "shape": (32, 128, 29), "reason": "too large"})
    results.missing["torbi"] = "No module named 'torbi'"
    results.memory = {"shape": (32, 512, 128), "threads": 2, "multiples": {"native": 2.5}}
    results.imports = {"torch": 2.0, "torch, pybert_crf": 2.4, "torch, CRF": 3.0}
    return results


def test_table() -> None:
    head, rows = timing_rows(made_up(), 2, "loss_backward")
    assert head == ["batch, time, tags", "native", "numba", "pytorch-crf", "wanted of native", "met"]
    assert rows[0] == ["16, 256, 7", "0.32 (312×)", "1.28 (78×)", "100", "250×", "yes"]
    assert rows[2] == ["1, 20000, 9", "0.32 (312×)", "1.28 (78×)", "100", "", ""]
    assert timing_rows(made_up(), 1, "decode")[1][0] == ["16, 256, 7", "0.576 (313×)", "2.3 (78×)", "180"]
    # The viterbi of ours is compared with the decode of pytorch-crf.
    head, rows = timing_rows(made_up(), 2, "viterbi")
    assert head == ["batch, time, tags", "native", "wanted of native", "met"]
    assert rows[1] == ["32, 128, 29", "0.2 (500×)", "100×", "yes"]


def test_targets() -> None:
    found = {target.what: target for target in targets(made_up())}
    met = {what: target.met for what, target in found.items()}
    assert met["native over pytorch-crf, loss + backward, 16, 256, 7"] is True
    assert met["native over pytorch-crf, loss + backward, 8, 512, 29"] is None
    assert met["native kernel over pytorch-crf, viterbi to tensors, 16, 256, 7"] is None
    assert met["time of numba over native, loss + backward, worst shape (16, 256, 7)"] is False
    assert met["native, 2 threads over 1, loss + backward, worst shape (16, 256, 7)"] is True
    memory = "peak memory of loss + backward beyond its inputs, over the emissions' size, 32, 512, 128"
    assert met[memory] is True
    imports = found["`import torch, pybert_crf` over `import torch`"]
    assert (imports.measured, imports.met) == (pytest.approx(1.2), False)


def test_report_is_the_same_from_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = made_up()
    results.write(tmp_path / "new" / "figures.json")
    bench_crf.main(["--read", str(tmp_path / "new" / "figures.json"), "--out", str(tmp_path / "again.json")])
    assert capsys.readouterr().out == report(results) + "\n"
    assert Results.read(tmp_path / "again.json") == results
    for words in ("### Loss + backward, 2 threads", "torbi: No module", "torch-struct at (32, 128, 29): too"):
        assert words in report(results)


def test_chart(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from crf_speed.chart import draw

    for name in ("one.svg", "two.svg"):
        draw(made_up(), tmp_path / "images" / name, 2)
    text = (tmp_path / "images" / "one.svg").read_text(encoding="utf-8")
    words = {element.text for element in ElementTree.fromstring(text).iter() if element.text}
    assert {"native", "numba", "pytorch-crf", "16, 256, 7", "loss + backward"} <= words
    assert text == (tmp_path / "images" / "two.svg").read_text(encoding="utf-8")
    assert str(tmp_path) not in text


def test_slow_contenders_are_called_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now, number = [0.0], {"quick": 0, "slow": 0, "slower": 0}
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0], sleep=lambda _: None))

    def taking(name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            now[0] += seconds
            number[name] += 1

        return call

    costs = {"quick": 0.001, "slow": 0.5, "slower": 1.0}
    taken = timing.measure({name: taking(name, seconds) for name, seconds in costs.items()}, 0.3)
    assert {name: times[0] for name, times in taken.items()} == pytest.approx(costs)
    assert (number["slow"], number["slower"]) == (len(taken["slow"]), len(taken["slower"])) == (2, 1)
    assert 250 < len(taken["quick"]) <= 300 < number["quick"]


def test_threads_are_set_back() -> None:
    before = torch.get_num_threads()
    with timing.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_peak_memory_of_a_process() -> None:
    try:
        multiple = process.peak_memory("reference", (8, 64, 64), 1)
    except OSError as error:
        pytest.skip(str(error))
    assert multiple > 1  # the gradient alone is as large as the emissions


def test_imports_are_timed_in_fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IMPORTS", {"small": "import colorsys", "large": "import asyncio, decimal"})
    taken = process.import_times(1)
    assert list(taken) == ["small", "large"]
    assert all(seconds > 0 for seconds in taken.values())


@pytest.mark.parametrize("given", [None, "7"])
def test_threads_that_wait_soon_sleep(given: str | None) -> None:
    """Set before torch is imported, unless the user has set it."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if given:
        environment["GOMP_SPINCOUNT"] = given
    words = "import crf_speed, os, sys; print('torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])"
    command = [sys.executable, "-c", words]
    run = subprocess.run(
        command, cwd=BENCHMARKS, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert run.stdout.split() == ["False", given or "10000"]


def test_pytest_finds_the_benchmark() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(BENCHMARKS),
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    listed = run.stdout.splitlines()
    assert sum("test_speed[" in line for line in listed) == len(bench_crf.CASES)
    assert any("test_speed[viterbi-32x128x29-2-native_kernel]" in line for line in listed)


def test_every_encoder_is_timed_against_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "encoders.json"
    settings = ["--size", "tiny", "--shapes", "2x8", "--seconds", "0.001", "--threads", "1"]
    bench_encoders.main([*settings, "--out", str(out)])
    figures = json.loads(out.read_text())
    assert figures["our_linear_maps"] == ("oneDNN" if convolution_is_faster() else "MKL")
    cases = [(row["family"], row["operation"]) for row in figures["rows"]]
    assert cases == [(family, operation) for family in FAMILIES for operation in ("forward", "training step")]
    assert all(row["error"] < 1e-5 and row["ours"] > 0 and row["theirs"] > 0 for row in figures["rows"])
    printed = capsys.readouterr().out
    assert all(f"| `{family}` | training step | 2, 8 |" in printed for family in FAMILIES)


def test_encoders_are_timed_as_on_other_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--mkl`` no product is large enough for oneDNN; afterwards it is as before."""
    fewest, seen = linear.MIN_ROWS, []
    monkeypatch.setattr(linear, "convolution_is_faster", lambda: True)
    monkeypatch.setattr(bench_encoders, "run", lambda *_: seen.append(linear.MIN_ROWS) or [])
    out = tmp_path / "encoders.json"
    for extra, library in (([], "oneDNN"), (["--mkl"], "MKL")):
        bench_encoders.main([*extra, "--threads", "1", "--out", str(out)])
        assert json.loads(out.read_text())["our_linear_maps"] == library
    assert seen == [fewest, sys.maxsize]
    assert fewest == linear.MIN_ROWS


def test_an_encoder_that_disagrees_is_not_timed() -> None:
    both = bench_encoders.pair("bert", "tiny", 8)
    with torch.no_grad():
        both.ours.layers[1].feed_forward.up.weight.mul_(1.5)
    with pytest.raises(AssertionError, match="bert: ours and theirs differ by"):
        bench_encoders.prove(both, bench_encoders.sentences(2, 8))
