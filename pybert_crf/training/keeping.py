"""What is kept of several runs: a copy of the best tagger, or all of them as an ensemble."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pybert_crf.evaluation import TaggedCorpus, evaluate_corpus, tag_corpus
from pybert_crf.files import replacing
from pybert_crf.options import TrainOptions
from pybert_crf.reading import read_object
from pybert_crf.taggers.ensemble import Ensemble, write_members
from pybert_crf.taggers.tagger import ENSEMBLE, Tagger
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.training.calibrating import calibration_note
from pybert_crf.training.corpora import read_corpora
from pybert_crf.training.events import Compared, Finished
from pybert_crf.training.levers.distillation import open_teacher
from pybert_crf.training.results import ensemble_card, tagger_card, write_results

# Files of a tagger's directory that not every tagger has.
_IN_SOME = ("model.safetensors", "adapter_config.json", "adapter_model.safetensors", "words.txt")
_OWN = ("metrics.json", "README.md")


def evaluate_together(
    runs: Sequence[TrainOptions], results: Sequence[Finished[Report]], out: Path
) -> Finished[Report]:
    """The taggers of some runs as an ensemble: its figures on test, and on dev if the runs share that.

    Parts of train that are dev for one run were learnt from in the others, so that no figure of the ensemble
    on them is honest. Those on dev are then of each tagger on its own part, taken together.
    """
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    members = [Tagger.from_pretrained(run.out, device=device or "cpu") for run in results]
    ensemble, own = Ensemble(members), []
    teacher = open_teacher(runs[0])
    for run, member in zip(runs, members, strict=True):
        corpora = read_corpora(run, teacher).in_scheme(member.scheme)
        if run.dev:
            dev = evaluate_corpus(ensemble, corpora.dev)
            break
        own.append(tag_corpus(member, corpora.dev, scores=False))
    else:
        dev = _joined(own).report(ensemble.words)
    return Finished(
        out=str(out),
        epoch=0,
        ended=f"{len(runs)} runs are done",
        dev=dev,
        test=None if corpora.test is None else evaluate_corpus(ensemble, corpora.test),
        history=[],
        seconds=sum(run.seconds for run in results),
    )


def _joined(parts: Sequence[TaggedCorpus]) -> TaggedCorpus:
    sentences = [sentence for part in parts for sentence in part.corpus.sentences]
    corpus = replace(parts[0].corpus, sentences=sentences)
    return TaggedCorpus(corpus, [tagging for part in parts for tagging in part.taggings])


def keep_best(final: Finished[Report], options: TrainOptions, compared: Compared[Report]) -> None:
    """Copy the best run's tagger to `out`, and write its results with those of all runs."""
    best, out = Path(compared.runs[compared.best].out), Path(final.out)
    for name in _IN_SOME:  # of a tagger that was here before
        if not (best / name).exists():
            (out / name).unlink(missing_ok=True)
    for path in _files(best):
        if path.name not in _OWN:
            with replacing(out / path.name) as temporary:
                shutil.copyfile(path, temporary)
    (out / ENSEMBLE).unlink(missing_ok=True)
    calibrated = read_object(best / "metrics.json").get("calibration")
    card = tagger_card(final, Tagger.from_pretrained(best), options, calibration_note(calibrated))
    _write(final, card, options, compared, calibration=calibrated)


def keep_all(final: Finished[Report], options: TrainOptions, compared: Compared[Report]) -> None:
    """Make an ensemble of `out`, whose members are the taggers of all runs, and write its results."""
    out = Path(final.out)
    write_members(out, compared.names)
    for name in {path.name for run in compared.runs for path in _files(Path(run.out))} | {*_IN_SOME}:
        if name not in _OWN:
            (out / name).unlink(missing_ok=True)  # of a tagger that was here before
    _write(final, ensemble_card(final, options, compared), options, compared)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_file() and path.name[0] != ".")


def _write(
    final: Finished[Report], card: str, options: TrainOptions, compared: Compared[Report], **more: Any
) -> None:
    rows: list[dict[str, Any]] = [
        {"run": name, "epoch": run.epoch, "dev_f1": run.dev.f1}
        | ({} if run.test is None else {"test_f1": run.test.f1})
        for name, run in zip(compared.names, compared.runs, strict=True)
    ]
    spread = {f"{part}_f1": {"mean": mean, "stdev": sd} for part, (mean, sd) in compared.spread.items()}
    test = None if final.test is None else final.test.to_dict()
    more |= {"runs": rows, "best": compared.names[compared.best], **spread}
    write_results(final, card, options, test=test, **more)
