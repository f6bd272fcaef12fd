"""The benchmarks' proofs of equality, their runs at tiny sizes, and their JSON, tables and chart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.encoders.families import FAMILIES
from pybert_crf.model import BertCRF
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.tagging_constraints import tag_constraints
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tagging.schemes import is_legal
from pybert_crf.text.tokenizer import UnitTokenizer

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import bench_crf
import bench_encoders
import bench_gpu
import compare_pipeline
import compare_training
import machine
import peer
from crf_speed import equality
from crf_speed.contenders import Contender, Native, Reference
from crf_speed.equality import DisagreementError, Exam, answer
from crf_speed.peers import PytorchCRF
from crf_speed.problem import Problem, path_scores, problem
from report import report

BENCHMARKS = Path(bench_crf.__file__).parent
TINY = (4, 9, 5)


def present(kind: type[Contender]) -> type[Contender]:
    why = kind.missing()
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
    log_z = torch.tensor(0.0, dtype=torch.float64)
    for row in range(2):
        only = Problem(*(part[row : row + 1] for part in case[:4]), *case[4:]).double()
        length = int(only.lengths)
        paths = torch.cartesian_prod(*[torch.arange(2)] * length).reshape(-1, length)
        padded = torch.nn.functional.pad(paths, (0, 3 - length))
        scores = torch.stack([path_scores(only, path[None])[0] for path in padded])
        assert expected.best[row].item() == pytest.approx(scores.max().item())
        log_z += scores.logsumexp(0)
    assert 2 * expected.log_z == pytest.approx(log_z.item())


def test_long_rows_are_cut_off_in_float64_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equality, "EXACT_TIME", 5)
    question = Exam(problem(TINY))
    assert question.beginning.shape == (4, 5, 5)
    assert (question.beginning.lengths == question.beginning.mask.sum(1)).all()
    assert question.prove(Reference).path == 0
    assert question.answer.best.shape == question.answer_of_beginning.best.shape
    assert question.answer.log_z != question.answer_of_beginning.log_z


class Transposed(Reference):
    """Reads the transitions the wrong way round."""

    def __init__(self, case: Problem) -> None:
        super().__init__(case._replace(transitions=case.transitions.T.contiguous()))


class NotANumber(Reference):
    """Has the right gradients, and no loss."""

    def loss(self) -> Tensor:
        return super().loss() * float("nan")


class SecondBest(Reference):
    """Decodes another path."""

    def viterbi(self) -> Tensor:
        tags = super().viterbi().clone()
        tags[-1, 0] = (tags[-1, 0] + 1) % self.case.shape[2]
        return tags


class OneTagShort(Reference):
    """Loses the last tag of a path."""

    def decode(self) -> list[list[int]]:
        *others, last = super().decode()
        return [*others, last[:-1]]


class Imprecise(Reference):
    """Right to three digits."""

    def negative_log_likelihood(self) -> Tensor:
        return super().negative_log_likelihood() * 1.0005


@pytest.mark.parametrize("wrong", [Transposed, NotANumber, SecondBest, OneTagShort, Imprecise])
def test_a_contender_that_disagrees_is_named(wrong: type[Contender]) -> None:
    with pytest.raises(DisagreementError, match="reference disagrees at"):
        Exam(problem(TINY)).prove(wrong)


def run_benchmark(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *words]
    options = ["--quick", "--threads", "1", "--benchmark-max-time", "0.001"]
    return subprocess.run([*command, *options], cwd=BENCHMARKS, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_all_benchmarks_run_with_pytest(tmp_path: Path) -> None:
    """Some cases of each: the JSON has one row for each contender and nothing of the machine's name."""
    out = tmp_path / "figures.json"
    few = "decode or test_step or (forward and albert)"
    files = [f"bench_{name}.py" for name in ("crf", "gpu", "encoders")]
    run = run_benchmark(*files, "-k", few, "--benchmark-json", str(out))
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert set(figures) == {"date", "machine", "versions", "benchmarks"}
    rows = {(row["group"], row["contender"], *row["shape"]): row for row in figures["benchmarks"]}
    assert len(rows) == len(figures["benchmarks"])
    for row in rows.values():
        assert 0 < row["fastest"] <= row["median"]
        assert row["calls"] >= 3  # one in each turn
    for kind in bench_crf.ALL:
        timed = ("decode, 1 threads", kind.name, 3, 16, 5) in rows
        assert timed == (kind.missing() is None)
        if why := kind.missing():
            assert f"{kind.name}: {why}" in run.stdout
    assert ("training step of BERT-tiny, cpu", "cross-entropy", 2, 16) in rows
    assert ("forward, 1 threads", "transformers", "albert", 2, 8) in rows


@pytest.mark.slow
def test_what_has_not_begun_in_time_is_skipped(tmp_path: Path) -> None:
    run = run_benchmark("bench_crf.py", "--limit", "0")
    assert "not begun after 0 seconds" in run.stdout
    assert "passed" not in run.stdout


def made_up() -> dict[str, Any]:
    """pytorch-crf takes 100 ms for everything, native less."""
    times = {"native": 0.00032, "numba": 0.01, "pytorch-crf": 0.1}
    rows = [
        {"group": f"{operation}, 2 threads", "contender": name, "shape": [16, 256, 7], "median": seconds}
        for operation in ("loss_backward", "decode", "viterbi")
        for name, seconds in times.items()
        if (operation, name) != ("viterbi", "pytorch-crf")
    ]
    rows.append(
        {"group": "loss_backward, 2 threads", "contender": "native", "shape": [1, 9, 9], "median": 2.0}
    )
    return {**machine.provenance(), "benchmarks": rows}


def test_tables() -> None:
    told = [line.replace("  ", "").split(" | ") for line in report(made_up()).splitlines()]
    assert ["| 16, 256, 7", "0.32 (312×)", "10 (10×)", "100 |"] in [[*map(str.strip, row)] for row in told]
    assert report(made_up()).count("0.32 (312×)") == 3  # viterbi too, against the decoding to lists
    assert "| 1, 9, 9    | 2000 " in report(made_up())


def test_chart(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from crf_speed.chart import draw

    for name in ("one.svg", "two.svg"):
        draw(made_up()["benchmarks"], tmp_path / "images" / name)
    text = (tmp_path / "images" / "one.svg").read_text(encoding="utf-8")
    words = {element.text for element in ElementTree.fromstring(text).iter() if element.text}
    assert {"native", "numba", "pytorch-crf", "16, 256, 7", "decode, 2 threads"} <= words
    assert text == (tmp_path / "images" / "two.svg").read_text(encoding="utf-8")
    assert str(tmp_path) not in text


def test_threads_are_set_back() -> None:
    before = torch.get_num_threads()
    with machine.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("given", [None, "7"])
def test_threads_that_wait_soon_sleep(given: str | None) -> None:
    """The benchmarks set it, unless the user has."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if given:
        environment["GOMP_SPINCOUNT"] = given
    words = "import conftest, os; print(os.environ['GOMP_SPINCOUNT'])"
    command = [sys.executable, "-c", words]
    run = subprocess.run(command, cwd=BENCHMARKS, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [given or "10000"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_encoder_agrees_with_its_own(family: str) -> None:
    both, batch = bench_encoders.pair(family, bench_encoders.TINY, 8), bench_encoders.sentences(2, 8)
    assert bench_encoders.prove(both, batch) < 1e-5
    for side in bench_encoders.SIDES:
        for operation in bench_encoders.OPERATIONS:
            getattr(both, operation)(side, batch)()


def test_an_encoder_that_disagrees_is_not_timed() -> None:
    both = bench_encoders.pair("bert", bench_encoders.TINY, 8)
    with torch.no_grad():
        both.ours.layers[1].feed_forward.up.weight.mul_(1.5)
    with pytest.raises(AssertionError, match="bert: ours and theirs differ by"):
        bench_encoders.prove(both, bench_encoders.sentences(2, 8))


def test_losses_that_disagree_are_not_timed() -> None:
    case = problem(TINY)
    losses = {kind.name: bench_gpu._negative(kind(case).layer, case) for kind in (Native, PytorchCRF)}
    bench_gpu.prove_losses(losses, case.emissions)
    with pytest.raises(AssertionError, match="losses differ"):
        bench_gpu.prove_losses({**losses, "another": lambda emissions: emissions.sum()}, case.emissions)


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small corpus, and a tiny encoder for it, as the tasks of both comparisons."""
    people, places = ("林小雨", "王大", "陈平"), ("青河", "北山", "东湖")
    for part, number in (("train", 12), ("dev", 6), ("test", 6)):
        sentences = []
        for i in range(number):
            person, place = people[i % 3], places[i // 3 % 3]
            tags = ["B-PER", *["I-PER"] * (len(person) - 1), "O", "B-LOC", "I-LOC", "O"]
            pairs = zip(f"{person}在{place}。", tags, strict=True)
            sentences.append("".join(f"{character} {tag}\n" for character, tag in pairs))
        (tmp_path / f"{part}.txt").write_text("\t\n".join(sentences), encoding="utf-8")  # as W-NUT
    task = compare_training.Task("train.txt", "dev.txt", "test.txt", "tiny")
    monkeypatch.setattr(
        compare_training, "TASKS", {"resume": task, "peoples_daily": replace(task, test=None)}
    )
    return tmp_path


def test_sides_are_measured_once_each(
    corpora: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = corpora / "runs.jsonl"
    words = [str(runs), "--data", str(corpora), "--tasks", "resume", "--sentences", "8", "--epochs", "1"]
    names = ["ours", "peer", "transitions=counts", "batch_tokens=64,clip=2.0"]
    compare_training.main([*words, "--sides", *names[:2]])
    with runs.open("a") as stream:
        stream.write('{"task": "resume", "sid')  # of a run that was killed while it wrote
    monkeypatch.delattr(compare_training, "train_peer")  # it is not to run again
    compare_training.main([*words, "--sides", *names, "--base", "ours"])
    rows = [json.loads(line) for line in runs.read_text().splitlines()]
    assert [row["side"] for row in rows] == names
    assert all(0 <= row["dev"] <= 1 and 0 <= row["test"] <= 1 and row["seconds"] > 0 for row in rows)
    assert {row["learning_rate"] for row in rows} == {5e-4}
    assert [row.get("batch_tokens") for row in rows] == [256, None, 256, 64]
    assert rows[1]["steps"] == 1  # 8 sentences are one batch of the peer
    told = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split(" | ")[3].strip() for line in told] == names
    base, other = rows[0]["dev"], rows[2]["dev"]
    assert told[2].split(" | ")[5:7] == [f"{other:.3f} ", f"{other - base:+.3f}"]


def test_a_peer_that_knows_the_scheme_tags_legally() -> None:
    labels = ["O", "B-PER", "I-PER", "E-PER", "S-PER"]
    bert = BertModel(BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    model = peer.Peer(bert, len(labels))
    model.forbid(tag_constraints(labels, "BIOES"))
    drawn = 10 * torch.randn(20, 12, len(labels), generator=torch.Generator().manual_seed(0))
    for path in model.crf.decode(drawn, mask=torch.ones(20, 12, dtype=torch.bool)):
        tags = [labels[tag] for tag in path]
        assert all(is_legal(a, b, scheme="BIOES") for a, b in pairwise(["O", *tags, "O"]))


def test_the_peer_learns(corpora: Path) -> None:
    """Its rates differ by group, rise and fall to 0, and it finds every entity of the small corpus."""
    task = compare_training.TASKS["resume"]
    rates = []

    class Followed(compare_training.PeerRun):  # type: ignore[misc]
        def train_epoch(self, epoch: int) -> float:
            seconds = super().train_epoch(epoch)
            rates.append({group["lr"] for group in self.optimizer.param_groups})
            return seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_training, "PeerRun", Followed)
        patch.setattr(compare_training, "BATCH", 4)
        options = compare_training.options_of(task, corpora, out=str(corpora / "out"), epochs=12)
        assert compare_training.train_peer(options, compare_training.USUAL)["dev"] == 1.0
    assert [len(both) for both in rates] == [2] * 11 + [1]
    assert [max(both) for both in rates[1:]] == sorted((max(both) for both in rates[1:]), reverse=True)
    assert rates[-1] == {0.0}


@pytest.fixture
def saved(corpora: Path) -> Path:
    """A tagger with random weights of the characters of the small corpus."""
    sentences = read_corpus(corpora / "train.txt").sentences
    tokenizer = UnitTokenizer.build([each.tokens for each in sentences], "char", size=100, min_count=1)
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 16, 2, 2, 32, max_positions=32))
    model = BertCRF(encoder, ["O", "B-PER", "I-PER"], "BIO")
    torch.nn.init.normal_(model.linear.weight)
    Tagger(model, tokenizer, "char").save_pretrained(corpora / "tagger")
    return corpora / "tagger"


def test_the_pipeline_is_compared(corpora: Path, saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare_pipeline.main([str(saved), str(corpora / "test.txt"), "--rounds", "1"])
    told = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert [*told] == ["float32", "bfloat16", "int8", *(f"pipeline, batch size {n}" for n in (1, 4, 16))]
    assert any(line.endswith(" 1.00 × the best pipeline") for line in told.values())


def test_a_pipeline_that_disagrees_is_not_timed(corpora: Path, saved: Path) -> None:
    tagger = Tagger.from_pretrained(saved)
    texts = ["".join(sentence.tokens) for sentence in read_corpus(corpora / "test.txt").sentences]
    compare_pipeline.check_equal(tagger, str(saved), texts)
    with torch.no_grad():
        tagger.model.linear.weight.neg_()
    with pytest.raises(AssertionError):
        compare_pipeline.check_equal(tagger, str(saved), texts)
