"""The temperature of a trained tagger, fitted on dev, and what it does to the scores of each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pybert_crf.evaluation import TaggedCorpus, tag_corpus
from pybert_crf.report.calibration import Bin, bins_of, calibration_error
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.taggers.temperature import CalibrationError, Temperature
from pybert_crf.text.corpora import Corpus, converted


@dataclass(frozen=True)
class Calibration:
    """The temperature that fits dev, and whether it is kept.

    Attributes:
        fitted: as of `Tagger.calibrate`.
        uncalibrated: for each part the bins of the entities' scores at temperature 1.
        held_out: the expected calibration error on dev if each half has the temperature that fits the other
            one; None if a half has no sentence to fit to, or no entity was found.
    """

    fitted: Temperature
    uncalibrated: Mapping[str, list[Bin]]
    held_out: float | None

    @property
    def temperature(self) -> float:
        """That of the tagger: the fitted one if that of a half makes the scores of the other half truer."""
        before = calibration_error(self.uncalibrated["dev"])
        kept = before is not None and self.held_out is not None and self.held_out < before
        return self.fitted.temperature if kept else 1.0

    @property
    def replaced(self) -> Mapping[str, list[Bin]]:
        """The bins at temperature 1 if the tagger has another one, else none."""
        return {} if self.temperature == 1.0 else self.uncalibrated

    def errors(self, tagged: Mapping[str, TaggedCorpus]) -> dict[str, dict[str, float | None]]:
        """The expected calibration error of each part, before and after; `tagged` are the parts after."""
        return {
            name: {
                "before": calibration_error(self.uncalibrated[name]),
                "after": calibration_error(bins_of(part)),
            }
            for name, part in tagged.items()
        }

    def to_dict(self, tagged: Mapping[str, TaggedCorpus]) -> dict[str, Any]:
        """A plain dictionary, for ``metrics.json``."""
        return {
            "temperature": self.temperature,
            "fitted_temperature": self.fitted.temperature,
            "held_out_error": self.held_out,
            "dev_loss": {"before": self.fitted.before, "after": self.fitted.after},
            "expected_calibration_error": self.errors(tagged),
        }


def calibration_note(calibrated: Mapping[str, Any] | None) -> list[str]:
    """The temperature and the errors of `Calibration.to_dict` in one line; none without a calibration."""
    if calibrated is None:
        return []
    errors = calibrated["expected_calibration_error"]
    measured = {name: error for name, error in errors.items() if error["before"] is not None}
    temperature = calibrated["temperature"]
    fitted = calibrated.get("fitted_temperature", temperature)  # runs of earlier versions have the one alone
    if fitted == temperature:
        told = f"temperature {temperature:.3f}, fitted on dev"
        shown = [
            f"{e['before']:.4f} before and {e['after']:.4f} after on {name}" for name, e in measured.items()
        ]
    else:
        why = "fitted to one half of dev it does not lower the calibration error of the other"
        told = f"temperature 1: {fitted:.3f} fits dev best, but {why}"
        shown = [f"{e['before']:.4f} on {name}" for name, e in measured.items()]
    if not shown:
        return [told]
    return [f"{told}; expected calibration error of the entities' scores: {', '.join(shown)}"]


def calibrate(tagger: Tagger, parts: Mapping[str, Corpus]) -> Calibration | None:
    """Give `tagger` the temperature that fits the part ``dev``, if it makes scores truer (`Calibration`).

    The parts are in the tagger's scheme, or are converted to it. None if no sentence of dev can be used.
    """
    tagger.temperature = 1.0
    before = {name: bins_of(tag_corpus(tagger, part, scores=True)) for name, part in parts.items()}
    dev = converted(parts["dev"], tagger.scheme)
    try:
        fitted = _fit(tagger, dev)
    except CalibrationError:  # every sentence of dev has a tag that the training data do not have
        return None
    calibration = Calibration(fitted, before, held_out_error(tagger, dev))
    tagger.temperature = calibration.temperature
    return calibration


def held_out_error(tagger: Tagger, dev: Corpus) -> float | None:
    """The expected calibration error on `dev`, each half with the temperature that fits the other one.

    The halves are the first sentences and the last ones, so that documents stay whole but for one. The tagger
    is left with the temperature of a half. None as in `Calibration.held_out`.
    """
    middle = len(dev.sentences) // 2
    first, last = dev.sentences[:middle], dev.sentences[middle:]
    taggings = []
    try:
        for scored, fitted in (first, last), (last, first):
            _fit(tagger, replace(dev, sentences=fitted))
            taggings += tag_corpus(tagger, replace(dev, sentences=scored), scores=True).taggings
    except CalibrationError:
        return None
    return calibration_error(bins_of(TaggedCorpus(dev, taggings)))


def _fit(tagger: Tagger, corpus: Corpus) -> Temperature:
    sentences = corpus.sentences
    return tagger.calibrate(
        (each.tokens for each in sentences),
        (each.tags for each in sentences),
        documents=(each.document for each in sentences),
    )
