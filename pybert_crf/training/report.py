"""The page ``report.html`` of a tagger's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from pybert_crf.evaluation import TaggedCorpus
from pybert_crf.files import write_text
from pybert_crf.options import TrainOptions
from pybert_crf.report import Run, analyse, training_page, transitions_of
from pybert_crf.report.calibration import Bin
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.corpora.corpus import Statistics
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.training.events import Finished, TaggingStarted

REPORT = "report.html"


def write_report(
    result: Finished[Report],
    started: TaggingStarted,
    options: TrainOptions,
    *,
    given: TrainOptions,
    sizes: Mapping[str, Statistics],
    content: str,
    rate_factors: Sequence[float],
    tagger: Tagger,
    tagged: Mapping[str, TaggedCorpus],
    uncalibrated: Mapping[str, list[Bin]],
    notes: Sequence[str] = (),
) -> None:
    """Write the page into ``result.out``.

    Args:
        result, started: the last event of the run, and its first.
        options: of the run.
        given: the same before those that were not given were fitted to the corpus.
        sizes: of each part of the data.
        content: the hash by which a resumed run knows its data.
        rate_factors: for each step done, the part of the peak learning rates that it had.
        tagger: as it was saved.
        tagged: what it found in the parts dev and test, with scores.
        uncalibrated: the bins of those scores at temperature 1, if the tagger has another one.
        notes: what else was found out at the end, a line each.
    """
    defaults = {known.name: known.default for known in fields(options)}
    values = options.to_dict()
    peaks = zip(("rate", "head_rate"), options.rates(), strict=True)
    run = Run(
        name=Path(result.out).resolve().name,
        sizes=sizes,
        content=content,
        messages=(*started.taken, started.plan, *started.notes, *notes, *result.warnings),
        options=values,
        changed={name: v for name, v in values.items() if getattr(given, name) != defaults[name]},
        epoch=result.epoch,
        ended=result.ended,
        history=result.history,
        seconds=result.seconds,
        parameters=started.parameters,
        device=started.device,
        rates={key: [peak * factor for factor in rate_factors] for key, peak in peaks},
    )
    parts = {name: analyse(tagger, each, uncalibrated.get(name)) for name, each in tagged.items()}
    page = training_page(run, parts, transitions_of(tagger), options.language)
    write_text(Path(result.out) / REPORT, page)
