"""Training, of one tagger or of several: by several seeds, or on the folds of a cross-validation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pybert_crf.evaluation import evaluate_corpus
from pybert_crf.options import TrainOptions
from pybert_crf.reading import read_object
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.training.corpora import read_corpora
from pybert_crf.training.events import Compared, Finished, Observer
from pybert_crf.training.keeping import evaluate_together, keep_all, keep_best
from pybert_crf.training.levers.distillation import open_teacher
from pybert_crf.training.loop.accelerator import build_accelerator
from pybert_crf.training.loop.checkpoints import check_options, check_out, find_checkpoint
from pybert_crf.training.loop.directory import reserve
from pybert_crf.training.loop.processes import in_first, is_first
from pybert_crf.training.tagging import train_one


def train(options: TrainOptions, observer: Observer | None = None) -> Finished[Report]:
    """Train a tagger, keep the best epoch's in ``options.out``, and report on dev and test.

    With `seeds` or `folds` there are several runs, each in a directory of its own within `out`, and `out`
    itself holds a copy of the one that is best on its dev part, or makes an `Ensemble` of them. The CRF
    computes in float32 at any `precision`.

    Args:
        options: corpora, encoder and how to learn.
        observer: called with every event (see `pybert_crf.training.events`), in the main process only.

    Returns:
        The final event: metrics of the saved tagger, and the history of the epochs.

    Raises:
        CorpusError: a malformed line, by file and number.
        FileNotFoundError: a corpus or a checkpoint is missing.
        FileExistsError: `out` holds another run and neither `resume` nor `overwrite` is set, or another run
            is writing into it.
        FloatingPointError: a loss, gradient or weight is not finite; the last good state is kept.
        ValueError: encoder and tokenizer do not fit together, or a resumed run has other options.
    """
    runs = runs_of(options)
    if not runs:
        return train_one(options, observer)
    out = Path(options.out)
    with reserve(out):
        check_out(out, options)
        build_accelerator(options)  # of several processes the first alone looks at what is there
        begun = in_first(lambda: [run.out for run in runs if Path(run.out).exists()])
        if begun and not options.resume and not options.overwrite:
            raise FileExistsError(f"{begun[0]} exists: continue its run with --resume, or --overwrite it")
        results = [_finished_or_trained(run, observer) for run in runs]
        compared = compare([Path(run.out).name for run in runs], results)
        final = replace(results[compared.best], out=str(out))
        if options.keep == "ensemble":
            final = in_first(lambda: evaluate_together(runs, results, out))
            compared = replace(compared, ensemble=(final.dev, final.test))
        if observer is not None and is_first():
            observer(compared)
        if is_first():
            if compared.ensemble is None:
                keep_best(final, options, compared)
            else:
                keep_all(final, options, compared)
        return final


def runs_of(options: TrainOptions) -> list[TrainOptions]:
    """The options of each run, if there are several; each run could also be started by them alone."""
    out, seeds = Path(options.out), range(options.seed, options.seed + options.seeds)
    if options.seeds > 1:
        one = replace(options, seeds=1, keep="best")
        return [replace(one, seed=seed, out=str(out / f"seed-{seed}")) for seed in seeds]
    if options.folds and not options.fold:
        folds = range(1, options.folds + 1)
        return [replace(options, fold=fold, keep="best", out=str(out / f"fold-{fold}")) for fold in folds]
    return []


def compare(names: Sequence[str], results: Sequence[Finished[Report]]) -> Compared[Report]:
    """The runs side by side: F1 on dev and test, their means and standard deviations (of a sample)."""
    parts = {"dev": [run.dev.f1 for run in results]}
    if all(run.test is not None for run in results):
        parts["test"] = [run.test.f1 for run in results if run.test is not None]
    best = max(range(len(results)), key=parts["dev"].__getitem__)
    spread = {name: (statistics.mean(f1), statistics.stdev(f1)) for name, f1 in parts.items()}
    return Compared(tuple(names), tuple(results), best, spread)


def _finished_or_trained(options: TrainOptions, observer: Observer | None) -> Finished[Report]:
    done: Finished[Report] | None = in_first(lambda: _finished(options))
    return done or train_one(options, observer)


def _finished(options: TrainOptions) -> Finished[Report] | None:
    """The result of a run that was finished before this one was interrupted, evaluated anew."""
    out = Path(options.out)
    if not options.resume or not (out / "metrics.json").exists() or find_checkpoint(out) is not None:
        return None
    metrics = read_object(out / "metrics.json")
    check_options(metrics["options"], options)
    tagger = Tagger.from_pretrained(out)
    corpora = read_corpora(options, open_teacher(options)).in_scheme(tagger.scheme)
    return Finished(
        out=str(out),
        epoch=metrics["epoch"],
        ended=metrics["ended"],
        dev=evaluate_corpus(tagger, corpora.dev),
        test=None if corpora.test is None else evaluate_corpus(tagger, corpora.test),
        history=metrics["history"],
        seconds=metrics["training_seconds"],
    )
