"""Tuning: what is varied, trials against runs by themselves, pruning, resuming, files and page."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pybert_crf import Tagger, TrainOptions, TuneOptions, train, tune
from pybert_crf.cli.trials import TuningDisplay, show_trials
from pybert_crf.options import merge_options, read_options
from pybert_crf.options.schema.option_file import option_text
from pybert_crf.training import EpochDone, Stepped, TrialDone, TrialStarted, tuning
from pybert_crf.training.tuning import Trial, Tuned
from pybert_crf.training.tuning.page import tuning_page
from pybert_crf.training.tuning.space import Dimension, defaults, space_of

Make = Callable[..., TuneOptions]


@pytest.fixture
def make(options: Callable[..., TrainOptions]) -> Make:
    """A function that makes options for tuning on the small corpus: three short trials."""

    def make(**changes: Any) -> TuneOptions:
        given = options(epochs=2).to_dict() | {"trials": 3, "vary": ("learning_rate", "dropout")}
        return TuneOptions(**(given | changes))

    return make


# What is varied.


def test_the_usual_space_surrounds_what_train_would_take(make: Make) -> None:
    space = {each.name: each for each in space_of(make(vary=()))}
    assert set(space) == {
        "learning_rate",
        "head_learning_rate",
        "dropout",
        "warmup",
        "batch_tokens",
        "transitions",
    }
    assert space["learning_rate"] == Dimension("learning_rate", 5e-4 / 5, 5e-4 * 4, True)
    assert space["transitions"].choices == ("random", "counts")
    values = defaults(make(vary=()), [*space.values()], 400)
    assert "batch_tokens" not in values  # 128 is below its range
    assert defaults(make(vary=(), batch_tokens=None), [*space.values()], 160_000)["batch_tokens"] == 320
    assert (values["learning_rate"], values["dropout"], values["transitions"]) == (5e-4, 0.1, "random")


def test_ranges_and_choices_are_read(make: Make) -> None:
    vary = (
        "learning-rate=1e-5:1e-3",
        "--batch-tokens=64:256",
        "dropout=0:0.3",
        "model=tiny,small",
        "lowercase=true,false",
        "focal=0,1.5",
    )
    found = space_of(make(vary=vary))
    assert found == [
        Dimension("learning_rate", 1e-5, 1e-3, True),
        Dimension("batch_tokens", 64, 256, True),
        Dimension("dropout", 0.0, 0.3),
        Dimension("model", choices=("tiny", "small")),
        Dimension("lowercase", choices=(True, False)),
        Dimension("focal", choices=(0.0, 1.5)),
    ]
    assert [type(end) for end in found[1].ends()] == [int, int]


@pytest.mark.parametrize(
    ("vary", "told"),
    [
        ("speed", "train has no option 'speed'"),
        ("epochs=1:3", "epochs must be the same in all trials"),
        ("scheme=BIO,BIOES", "scheme must be the same in all trials"),
        ("clip", "clip needs its values, as clip=A,B; usual ranges have learning_rate, "),
        ("dropout=0.5:0.1", "dropout must have a range from low to high"),
        ("dropout=0:1.5", "dropout must be in [0, 1), got 1.5"),
        ("batch-tokens=1.5:3", "batch_tokens takes whole numbers, got '1.5'"),
        ("adversarial=none,some", "adversarial must be one of none, fgm, pgd, got 'some'"),
        ("precision=bf16", "precision must have two different values or more"),
        ("compile=yes,no", "compile is true or false, got 'yes'"),
        ("class-weight=inverse,O=2", "class_weight takes several values at once"),
    ],
)
def test_what_cannot_be_varied_is_named(make: Make, vary: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"vary: {re.escape(told)}"):
        space_of(make(vary=vary))


def test_other_refusals(make: Make) -> None:
    with pytest.raises(ValueError, match="vary names an option twice: dropout"):
        space_of(make(vary=("dropout", "dropout=0:0.1")))
    with pytest.raises(ValueError, match="seeds must be 1 in tune"):
        make(seeds=2)
    with pytest.raises(ValueError, match="folds must come with fold in tune"):
        make(dev=(), folds=3)


def test_an_option_file_holds_what_differs_from_the_defaults(tmp_path: Path) -> None:
    options = TrainOptions(
        ("a b.txt", 'quoted"\\.txt'), "dev.txt", "out", learning_rate=3.2e-05, lowercase=True, model="中文"
    )
    file = tmp_path / "options.toml"
    file.write_text(option_text(options, ("out",), "two\nlines"), encoding="utf-8")
    read = read_options(file, TrainOptions)
    assert set(read) == {"train", "dev", "learning_rate", "lowercase", "model"}
    assert merge_options(read, {"out": "out"}, TrainOptions) == options


# Trials.


class _Killed(BaseException):
    pass


def test_trials_are_runs_and_the_best_is_kept(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    events: list[Any] = []
    chosen = make(trials=3, vary=("learning_rate=1e-4:3e-3", "transitions"), pruning="none")
    tuned = tune(chosen, events.append)
    assert [trial.number for trial in tuned.trials] == [0, 1, 2]
    assert tuned.trials[0].values == {
        "learning_rate": 5e-4,
        "transitions": "random",
    }  # as the options have them
    assert len({trial.values["learning_rate"] for trial in tuned.trials}) == 3
    assert all(1e-4 <= trial.values["learning_rate"] <= 3e-3 for trial in tuned.trials)
    assert tuned.best.f1 == max(trial.f1 or 0 for trial in tuned.trials)
    started = [event for event in events if isinstance(event, TrialStarted)]
    done = [event for event in events if isinstance(event, TrialDone)]
    assert [event.values for event in started] == [trial.values for trial in tuned.trials]
    assert [event.f1 for event in done] == [trial.f1 for trial in tuned.trials]
    assert all(len(trial.course) == 2 and max(trial.course) == trial.f1 for trial in tuned.trials)
    out = Path(chosen.out)
    assert [path.name for path in out.iterdir() if path.is_dir()] == [f"trial-{tuned.best.number}"]
    assert Tagger.from_pretrained(out / f"trial-{tuned.best.number}").labels
    # The option file gives the same tagger.
    again = merge_options(
        read_options(out / "best.toml", TrainOptions), {"out": str(tmp_path / "again")}, TrainOptions
    )
    assert again == replace(chosen.training(**tuned.best.values), out=str(tmp_path / "again"))
    assert train(again).dev.f1 == tuned.best.f1
    page = Path(tuned.page).read_text("utf-8")
    assert page.count("<svg") == 4
    assert f"Trial {tuned.best.number} is the best" in page
    # More trials, and what may not change.
    with pytest.raises(FileExistsError, match=r"holds a tuning already: continue it with --resume"):
        tune(chosen)
    with pytest.raises(ValueError, match=r"cannot resume .* with other options: epochs was 2, is 3"):
        tune(replace(chosen, epochs=3, resume=True))
    more = tune(replace(chosen, trials=4, resume=True))
    assert [trial.values for trial in more.trials[:3]] == [trial.values for trial in tuned.trials]
    assert len(more.trials) == 4


def test_a_killed_tuning_goes_on_to_the_same_end(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    whole = tune(make(out=str(tmp_path / "whole"), pruning="none"))

    def kill(event: object) -> None:
        seen.append(event)
        if isinstance(event, EpochDone) and sum(isinstance(each, TrialDone) for each in seen) == 1:
            raise _Killed

    seen: list[Any] = []
    chosen = make(pruning="none", checkpoint_steps=1)
    whole_again = make(out=str(tmp_path / "whole"), pruning="none")
    with pytest.raises(_Killed):  # after the first epoch of the second trial, before its checkpoint
        tune(chosen, kill)
    numbers: list[int] = []

    def watch(event: object) -> None:
        if isinstance(event, TrialStarted):
            numbers.append(event.number)
        if isinstance(event, Stepped) and len(numbers) == 1:
            steps.append((event.epoch, event.step))

    steps: list[tuple[int, int]] = []
    resumed = tune(replace(chosen, resume=True), watch)
    assert numbers == [1, 2]
    assert steps[0] != (1, 1)  # the trial went on where it was
    assert [trial.values for trial in resumed.trials] == [trial.values for trial in whole.trials]
    assert [trial.course for trial in resumed.trials] == [pytest.approx(each.course) for each in whole.trials]
    assert whole_again.trials == len(whole.trials)
    with pytest.raises(ValueError, match="the training or dev data are not what they were"):
        tune(replace(chosen, resume=True, train=chosen.dev))


def test_worse_trials_are_stopped(make: Make) -> None:
    pytest.importorskip("optuna")
    events: list[Any] = []
    # Three good trials for the pruner to compare with, then one that cannot learn.
    chosen = make(trials=7, vary=("learning_rate=1e-9,5e-4",), head_learning_rate=1e-9, epochs=2)
    chosen = replace(chosen, vary=("head_learning_rate=1e-9,2e-2",), head_learning_rate=2e-2)
    screen = io.StringIO()
    display = TuningDisplay(Console(file=screen, width=200))

    def watch(event: Any) -> None:
        display(event)
        events.append(event)

    tuned = tune(chosen, watch)
    stopped = [trial for trial in tuned.trials if trial.state == "pruned"]
    assert stopped
    for trial in stopped:
        assert len(trial.course) == 1
        assert trial.values["head_learning_rate"] == 1e-9
    assert tuned.best.values["head_learning_rate"] == 2e-2
    told = {event.number: event for event in events if isinstance(event, TrialDone)}
    assert told[stopped[0].number].state == "pruned"
    assert tuned.ranked()[0] == tuned.best
    assert tuned.ranked()[-1].state == "pruned"
    shown = screen.getvalue()
    assert shown.count("sentences: train 60, dev 12") == 1
    assert "trial 0, 7 in all: head-learning-rate 0.02\n" in shown
    first = stopped[0]
    assert f"trial {first.number}: dev F1 {first.f1:.4f}, stopped after epoch 1\n" in shown
    assert f"trial 0: dev F1 {tuned.trials[0].f1:.4f}  best so far\n" in shown


def test_a_trial_that_diverges_is_told_apart(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    from pybert_crf.training.tuning import study

    whole = study.train_one

    def sometimes(options: TrainOptions, observer: Any) -> Any:
        if options.dropout != 0.1:  # the first trial has the default
            raise FloatingPointError("the loss is nan")
        return whole(options, observer)

    monkeypatch.setattr(study, "train_one", sometimes)
    tuned = tune(make(trials=2, vary="dropout", epochs=1))
    assert [trial.state for trial in tuned.trials] == ["done", "diverged"]
    assert tuned.trials[1].f1 is None
    monkeypatch.setattr(study, "train_one", lambda *rest: (_ for _ in ()).throw(FloatingPointError("nan")))
    with pytest.raises(RuntimeError, match="none of 1 trials has a result: all diverged"):
        tune(make(trials=1, overwrite=True))


def test_without_optuna_it_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ImportError, match=r"tune needs the package optuna: pip install 'pybert-crf\[tune\]'"):
        tune(make())


def test_the_page_of_odd_trials_in_chinese() -> None:
    trials = (
        Trial(0, {"dropout": 0.1, "model": "tiny"}, "done", 0.5, (0.4, 0.5)),
        Trial(1, {"dropout": 0.1, "model": "<small>"}, "pruned", 0.1, (0.1,)),
        Trial(2, {"dropout": 0.1, "model": "tiny"}, "diverged", None, ()),
    )
    tuned = Tuned(
        "out", trials, trials[0], "out/best.toml", "out/tuning.html", {"dropout": 0.75, "model": 0.25}
    )
    space = [Dimension("dropout", 0.0, 0.5), Dimension("model", choices=("tiny", "<small>"))]
    screen = io.StringIO()
    show_trials(tuned, Console(file=screen, width=20))
    rows = [line.split() for line in screen.getvalue().splitlines() if line.strip()]
    assert rows[1:] == [
        ["0", "0.5000", "2", "done", "0.1", "tiny"],
        ["1", "0.1000", "1", "pruned", "0.1", "<small>"],
        ["2", "–", "0", "diverged", "0.1", "tiny"],
    ]
    page = tuning_page(tuned, space, "zh")
    assert "第 0 次试验最好" in page
    assert "<small>" not in page
    assert page.count("<svg") == 5
    assert "nan" not in page
    assert json.dumps("发散", ensure_ascii=False).strip('"') in page
    assert tuning.tune is tune
