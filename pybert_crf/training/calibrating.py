"""The temperature of a trained tagger, fitted on dev, and what it does to the scores of each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pybert_crf.evaluation import TaggedCorpus, tag_corpus
from pybert_crf.report.calibration import Bin, bins_of, calibration_error
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.taggers.temperature import CalibrationError, Temperature
from pybert_crf.text.corpora import Corpus, converted


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature, and for each part the bins of the entities' scores at temperature 1."""

    fitted: Temperature
    uncalibrated: Mapping[str, list[Bin]]

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
            "temperature": self.fitted.temperature,
            "dev_loss": {"before": self.fitted.before, "after": self.fitted.after},
            "expected_calibration_error": self.errors(tagged),
        }


def calibration_note(calibrated: Mapping[str, Any] | None) -> list[str]:
    """The temperature and the errors of `Calibration.to_dict` in one line; none without a calibration."""
    if calibrated is None:
        return []
    errors = [
        f"{error['before']:.4f} before and {error['after']:.4f} after on {name}"
        for name, error in calibrated["expected_calibration_error"].items()
        if error["before"] is not None
    ]
    told = f"temperature {calibrated['temperature']:.3f}, fitted on dev"
    if not errors:
        return [told]
    return [f"{told}; expected calibration error of the entities' scores: {', '.join(errors)}"]


def calibrate(tagger: Tagger, parts: Mapping[str, Corpus]) -> Calibration | None:
    """Give `tagger` the temperature that is best on the part ``dev``; None if no sentence there can be used.

    The parts are in the tagger's scheme, or are converted to it.
    """
    tagger.temperature = 1.0
    before = {name: bins_of(tag_corpus(tagger, part, scores=True)) for name, part in parts.items()}
    dev = converted(parts["dev"], tagger.scheme).sentences
    try:
        fitted = tagger.calibrate(
            (each.tokens for each in dev),
            (each.tags for each in dev),
            documents=(each.document for each in dev),
        )
    except CalibrationError:  # every sentence of dev has a tag that the training data do not have
        return None
    return Calibration(fitted, before)
