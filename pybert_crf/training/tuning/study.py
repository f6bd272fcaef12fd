"""The trials: drawn by optuna, run in this process, stopped early if they are worse, kept in SQLite."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybert_crf.files import write_text
from pybert_crf.options import TrainOptions, TuneOptions
from pybert_crf.options.schema.option_file import option_text
from pybert_crf.training.corpora import hash_corpora, read_corpora
from pybert_crf.training.events import EpochDone, Event, Observer, TrialDone, TrialStarted
from pybert_crf.training.levers.distillation import open_teacher
from pybert_crf.training.loop.checkpoints import check_options, find_checkpoint
from pybert_crf.training.loop.directory import reserve
from pybert_crf.training.tagging import train_one
from pybert_crf.training.tuning.outcome import DIVERGED, DONE, PRUNED, Trial, Tuned
from pybert_crf.training.tuning.page import tuning_page
from pybert_crf.training.tuning.space import Dimension, defaults, space_of

if TYPE_CHECKING:
    import optuna

STUDY, BEST, PAGE = "study.db", "best.toml", "tuning.html"
"""Files of a tuning: optuna's storage, the options of the best trial, the page."""

_NAME = "tune"
_STATES = {"COMPLETE": DONE, "PRUNED": PRUNED, "FAIL": DIVERGED}


def tune(options: TuneOptions, observer: Observer | None = None) -> Tuned:
    """Train with many settings, one after another, and tell which is best on dev.

    The first trial has the values of the options themselves; the next ones are random, and then optuna's
    tree-structured Parzen estimator (Bergstra et al., 2011, "Algorithms for hyper-parameter optimization")
    draws where trials were good. All have the same seed. The test part is not looked at.

    Args:
        options: of the training, of which some are varied; `out` holds the trials, ``study.db``,
            ``best.toml`` and ``tuning.html``.
        observer: called with every event of the trials, and `TrialStarted` and `TrialDone`.

    Raises:
        ImportError: optuna is not installed.
        FileExistsError: `out` holds another tuning and neither `resume` nor `overwrite` is set.
        ValueError: what is to be varied cannot be, or a resumed tuning has other options or data.
        RuntimeError: all trials diverged.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("tune runs in one process: leave out torchrun")
    _import_optuna()
    space = space_of(options)
    out = Path(options.out)
    with reserve(out):
        study = _open_study(options, space, out)
        _Tuning(study, options, space, observer).run()
        tuned = _outcome(study, out)
        told = f"best of {len(tuned.trials)} trials: {tuned.best.number}, dev F1 {tuned.best.f1:.4f}"
        write_text(tuned.options, option_text(_options_of(options, tuned.best.values), ("out",), told))
        write_text(tuned.page, tuning_page(tuned, space, options.language))
    return tuned


def _import_optuna() -> None:
    try:
        import optuna
    except ImportError as error:
        raise ImportError("tune needs the package optuna: pip install 'pybert-crf[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _open_study(options: TuneOptions, space: Sequence[Dimension], out: Path) -> optuna.Study:
    """The study in `out`, a new one or one to go on with."""
    import optuna

    path = out / STUDY
    if path.exists() and options.overwrite and not options.resume:
        _remove(out)
    if path.exists() and not options.resume:
        raise FileExistsError(f"{out} holds a tuning already: continue it with --resume, or --overwrite it")
    fresh = not path.exists()
    pruner: Any = optuna.pruners.NopPruner()
    if options.pruning == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=options.epochs // 5)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
    study = optuna.create_study(
        storage=storage, study_name=_NAME, direction="maximize", pruner=pruner, load_if_exists=True
    )
    teacher = open_teacher(options)
    corpora = read_corpora(options, teacher)
    content = hash_corpora(corpora, [])
    if fresh or "options" not in study.user_attrs:
        study.set_user_attr("content", content)
        study.set_user_attr("options", options.to_dict())
        lengths = [len(each.tokens) for each in corpora.train.sentences]
        lengths += [len(each.units) for each in corpora.untagged.texts]
        study.enqueue_trial(defaults(options, space, sum(lengths) + 2 * len(lengths)))
    then = {**study.user_attrs["options"], "trials": options.trials, "keep": options.keep}
    check_options(then, options)
    if study.user_attrs["content"] != content:
        raise ValueError(f"cannot resume {out}: the training or dev data are not what they were")
    return study


def _remove(out: Path) -> None:
    """Delete the trials of a tuning, and its storage."""
    for path in out.iterdir():
        if path.is_dir() and re.fullmatch(r"trial-\d+", path.name):
            shutil.rmtree(path)
    for name in (STUDY, f"{STUDY}-journal", BEST, PAGE):
        (out / name).unlink(missing_ok=True)


class _Tuning:
    """The trials that are still to be run."""

    def __init__(
        self,
        study: optuna.Study,
        options: TuneOptions,
        space: Sequence[Dimension],
        observer: Observer | None,
    ) -> None:
        self.study, self.options, self.space = study, options, space
        self.tell = observer or _ignore
        self.out = Path(options.out)

    def run(self) -> None:
        """Go on with the trial that was interrupted, if there is one, and do the rest."""
        import optuna

        running = self.study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        for interrupted in running:
            self._run(optuna.Trial(self.study, interrupted._trial_id))
        while len(trials_of(self.study)) < self.options.trials:
            number = len(self.study.get_trials(deepcopy=False))
            # A generator for each trial, so that a resumed tuning draws what an uninterrupted one does.
            self.study.sampler = optuna.samplers.TPESampler(
                seed=(self.options.seed + 7919 * number) % 2**32,
                n_startup_trials=max(3, self.options.trials // 4),
            )
            self._run(self.study.ask())

    def _run(self, trial: optuna.Trial) -> None:
        import optuna

        state = optuna.trial.TrialState
        values = {
            each.name: _suggest(trial, each) for each in self.space
        }  # of an interrupted one, what it had
        folder = self.out / f"trial-{trial.number}"
        before = trials_of(self.study)
        self.tell(TrialStarted(trial.number, self.options.trials, values))
        again = find_checkpoint(folder) is not None
        options = _options_of(self.options, values, out=str(folder), resume=again, overwrite=not again)
        watch = _Watch(trial, self.options, self.tell)
        try:
            result = train_one(options, watch)
            self.study.tell(trial, result.dev.f1)
        except optuna.TrialPruned:
            self.study.tell(trial, state=state.PRUNED)
        except FloatingPointError as error:
            trial.set_user_attr("fault", str(error))
            self.study.tell(trial, state=state.FAIL)
        done = next(each for each in trials_of(self.study) if each.number == trial.number)
        best = done.state == DONE and all(
            (done.f1 or 0.0) > (each.f1 or 0.0) for each in before if each.state == DONE
        )
        for each in before if best else [done]:  # the best trial's tagger alone is kept
            shutil.rmtree(self.out / f"trial-{each.number}", ignore_errors=True)
        self.tell(TrialDone(done.number, done.state, done.f1, len(done.course), best))


class _Watch:
    """An observer of a trial's run that reports each epoch to optuna, and stops the run if it is worse."""

    def __init__(self, trial: optuna.Trial, options: TuneOptions, tell: Observer) -> None:
        self.trial, self.options, self.tell = trial, options, tell
        known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        self.reported = set(known)

    def __call__(self, event: Event) -> None:
        import optuna

        self.tell(event)
        if not isinstance(event, EpochDone):
            return
        step = event.epoch - 1
        if step not in self.reported:  # an epoch that was done again after a kill
            self.trial.report(event.dev.f1, step)
        if event.epoch < self.options.epochs and self.trial.should_prune():
            raise optuna.TrialPruned


def _ignore(event: Event) -> None:
    pass


def _options_of(options: TuneOptions, values: Mapping[str, Any], **more: Any) -> TrainOptions:
    """The options of a run: without the test part if it is a trial's, whose directory is in `more`."""
    test = {"test": ()} if more else {"resume": False, "overwrite": False}
    return options.training(**{**values, **test, **more})


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    name, low, high, logarithmic, choices = dimension
    if choices:
        return trial.suggest_categorical(name, choices)
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=logarithmic)
    return trial.suggest_float(name, low, high, log=logarithmic)


def trials_of(study: optuna.Study) -> list[Trial]:
    """The trials that are over, in their order."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        state = _STATES.get(trial.state.name)
        if state is not None:
            course = tuple(value for _, value in sorted(trial.intermediate_values.items()))
            f1 = trial.value if state == DONE else max(course, default=None) if state == PRUNED else None
            found.append(Trial(trial.number, dict(trial.params), state, f1, course))
    return found


def _outcome(study: optuna.Study, out: Path) -> Tuned:
    trials = trials_of(study)
    done = [trial for trial in trials if trial.state == DONE]
    if not done:
        raise RuntimeError(f"none of {len(trials)} trials has a result: all diverged; try lower rates")
    best = max(done, key=lambda trial: (trial.f1 or 0.0, -trial.number))
    return Tuned(
        str(out), tuple(trials), best, str(out / BEST), str(out / PAGE), _importance(study, len(done))
    )


def _importance(study: optuna.Study, done: int) -> dict[str, float]:
    """By PED-ANOVA (Watanabe et al., 2023); nothing can be said of few trials, or of equal ones."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    values = {trial.value for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"}
    if done < 4 or len(values) < 2:
        return {}
    return dict(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()))
