"""Several runs: by seeds and by folds, compared, the best kept, and resumed where they were."""

from __future__ import annotations

import io
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.cli import app
from pybert_crf.cli.progress import TrainingDisplay
from pybert_crf.encoders import read_tensors
from pybert_crf.evaluation import evaluate_corpus
from pybert_crf.taggers.ensemble import Ensemble
from pybert_crf.text.corpora import read_corpus
from pybert_crf.training import Compared, Finished, Stepped
from pybert_crf.training.corpora import read_corpora

Make = Callable[..., TrainOptions]


def test_seeds_are_compared_and_the_best_is_kept(options: Make, corpus: Path, tmp_path: Path) -> None:
    chosen = options(seeds=2, seed=3, learning_rate=1e-3)
    screen, events = io.StringIO(), []
    display = TrainingDisplay(Console(file=screen, width=200))

    def watch(event: Any) -> None:
        display(event)
        events.append(event)

    result = train(chosen, watch)
    out = Path(chosen.out)
    runs = [event for event in events if isinstance(event, Finished)]
    (compared,) = [event for event in events if isinstance(event, Compared)]
    scores = [run.dev.f1 for run in runs]
    assert compared.names == ("seed-3", "seed-4")
    assert compared.spread["dev"] == pytest.approx((statistics.mean(scores), statistics.stdev(scores)))
    alone = [train(options(seed=seed, out=str(tmp_path / f"{seed}"), learning_rate=1e-3)) for seed in (3, 4)]
    assert [run.dev for run in alone] == [run.dev for run in runs]
    best = max(range(2), key=scores.__getitem__)
    assert (result.dev, result.out) == (runs[best].dev, str(out))
    kept, wanted = read_tensors(out), read_tensors(alone[best].out)
    assert all(kept[name].equal(wanted[name]) for name in wanted)
    assert Tagger.from_pretrained(out)("张甲在京。") == Tagger.from_pretrained(alone[best].out)("张甲在京。")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["dev_f1"] == {"mean": statistics.mean(scores), "stdev": statistics.stdev(scores)}
    assert [row["dev_f1"] for row in metrics["runs"]] == scores
    assert metrics["best"] == f"seed-{3 + best}"
    assert f"mean dev F1 {statistics.mean(scores):.4f}, standard deviation" in screen.getvalue()


def test_folds_share_the_corpus_without_overlap(options: Make, corpus: Path) -> None:
    def parts(fold: int) -> tuple[list[str], list[str]]:
        data = read_corpora(options(dev=(), folds=3, fold=fold))
        told = [["".join(s.tokens) + str(s.line) for s in part.sentences] for part in (data.train, data.dev)]
        return told[0], told[1]

    everything = ["".join(s.tokens) + str(s.line) for s in read_corpus(corpus / "train.txt").sentences]
    held: list[str] = []
    for fold in (1, 2, 3):
        train_part, dev_part = parts(fold)
        assert sorted(train_part + dev_part) == sorted(everything)
        assert len(dev_part) == 20
        held += dev_part
    assert sorted(held) == sorted(everything)


class _Killed(BaseException):
    pass


def test_folds_resume_where_they_were(options: Make, tmp_path: Path) -> None:
    chosen = {"dev": (), "folds": 2, "epochs": 2}
    whole = train(options(**chosen, out=str(tmp_path / "whole")))
    count = [0]

    def kill(event: object) -> None:
        if isinstance(event, Stepped) and event.epoch == 2 and event.step == 1:
            count[0] += 1
            if count[0] == 2:
                raise _Killed

    with pytest.raises(_Killed):
        train(options(**chosen), kill)
    with pytest.raises(FileExistsError, match=r"fold-1 exists: continue its run with --resume"):
        train(options(**chosen))
    with pytest.raises(ValueError, match=r"cannot resume .*fold-1 with other options: epochs was 2, is 3"):
        train(options(**{**chosen, "epochs": 3}, resume=True))
    events: list[Any] = []
    resumed = train(options(**chosen, resume=True), events.append)
    assert len([event for event in events if isinstance(event, Finished)]) == 1  # the first fold was finished
    one, two = (json.loads((Path(run.out) / "metrics.json").read_text()) for run in (whole, resumed))
    assert one["runs"] == two["runs"]
    for fold in ("fold-1", "fold-2"):
        first, second = (read_tensors(Path(run.out) / fold) for run in (whole, resumed))
        assert all(first[name].equal(second[name]) for name in first)
    with pytest.raises(FileExistsError, match="nothing to resume"):
        train(options(**chosen, resume=True))


def test_an_ensemble_is_kept_of_seeds(
    options: Make, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = options(seeds=2, epochs=2, learning_rate=1e-3, keep="ensemble")
    screen, events = io.StringIO(), []
    display = TrainingDisplay(Console(file=screen, width=200))

    def watch(event: Any) -> None:
        display(event)
        events.append(event)

    result = train(chosen, watch)
    out = Path(chosen.out)
    tagger = Tagger.from_pretrained(out)
    assert isinstance(tagger, Ensemble)
    members = [Tagger.from_pretrained(out / name) for name in ("seed-0", "seed-1")]
    text = "张甲在京。"
    averages = sum(member.marginals(text).probabilities for member in members) / 2
    assert tagger.marginals(text).probabilities == pytest.approx(averages, abs=1e-6)
    assert result.dev == evaluate_corpus(tagger, read_corpus(corpus / "dev.txt"))
    assert result.test == evaluate_corpus(tagger, read_corpus(corpus / "test.txt"))
    (compared,) = [event for event in events if isinstance(event, Compared)]
    assert compared.ensemble == (result.dev, result.test)
    assert f"ensemble of 2: dev F1 {result.dev.f1:.4f}  test F1" in screen.getvalue()
    assert not {"config.json", "report.html"} & {path.name for path in out.iterdir()}
    metrics = json.loads((out / "metrics.json").read_text())
    assert [row["run"] for row in metrics["runs"]] == ["seed-0", "seed-1"]
    assert "| `seed-1` | " in (out / "README.md").read_text("utf-8")
    _use_from_the_command_line(out, corpus, capsys)
    _is_refused(options, out)
    best = train(options(seeds=2, epochs=1, overwrite=True))  # the best over the ensemble, and back
    assert not isinstance(Tagger.from_pretrained(best.out), Ensemble)
    train(options(seeds=2, epochs=1, keep="ensemble", overwrite=True))
    assert isinstance(Tagger.from_pretrained(out), Ensemble)


def _use_from_the_command_line(out: Path, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        capsys.readouterr()
        app([*words], standalone_mode=False)
        return capsys.readouterr().out

    page = out.parent / "page.html"
    assert "micro" in run("evaluate", str(out), str(corpus / "test.txt"), "--html", str(page))
    assert "heat transitions" not in page.read_text("utf-8")
    assert json.loads(run("predict", str(out), str(corpus / "test.txt")).splitlines()[0])["text"]
    assert "ensemble    of 2 taggers: seed-0, seed-1" in run("info", str(out))
    with pytest.raises(ValueError, match="an ensemble has no model of its own"):
        run("export", str(out), str(out.parent / "exported"))


def _is_refused(options: Make, out: Path) -> None:
    one_model = rf"needs one model, and {out} is an ensemble: name a member, as seed-0"
    with pytest.raises(ValueError, match=f"model {one_model}"):
        train(options(model=str(out), out=str(out.parent / "on")))
    with pytest.raises(ValueError, match=f"teacher {one_model}"):
        train(options(teacher=str(out), out=str(out.parent / "on")))
    with pytest.raises(FileExistsError, match="holds a model already"):
        train(options(seeds=2, keep="ensemble"))


def test_an_ensemble_of_folds_is_judged_on_what_its_members_had_not_seen(options: Make) -> None:
    result = train(options(dev=(), folds=2, epochs=2, keep="ensemble", learning_rate=1e-3))
    assert isinstance(Tagger.from_pretrained(result.out), Ensemble)
    gold = predicted = correct = 0
    for fold in (1, 2):
        member = Tagger.from_pretrained(Path(result.out) / f"fold-{fold}")
        dev = read_corpora(options(dev=(), folds=2, fold=fold)).dev
        score = evaluate_corpus(member, dev).conlleval.micro
        gold, predicted = gold + score.support, predicted + score.predicted
        correct += score.correct
    score = result.dev.conlleval.micro
    assert (score.support, score.predicted, score.correct) == (gold, predicted, correct)
    assert gold == 120
    assert "each member on its own" in (Path(result.out) / "README.md").read_text("utf-8")


def test_what_does_not_go_together(options: Make) -> None:
    with pytest.raises(ValueError, match="dev and folds exclude each other"):
        options(folds=3)
    with pytest.raises(ValueError, match="folds must be at least 2, or 0"):
        options(dev=(), folds=1)
    with pytest.raises(ValueError, match="fold must be at most the number of folds, 3, got 4"):
        options(dev=(), folds=3, fold=4)
    with pytest.raises(ValueError, match="seeds must be 1 with folds"):
        options(dev=(), folds=3, seeds=2)
    with pytest.raises(ValueError, match="keep must be best for one run, without seeds or folds"):
        options(keep="ensemble")
    with pytest.raises(ValueError, match="60 parts cannot be dealt to 61 folds"):
        train(options(dev=(), folds=61))
