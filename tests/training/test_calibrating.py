"""Whether the temperature that `train` fits on dev is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.evaluation import tag_corpus
from pybert_crf.report.calibration import bins, calibration_error
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.training import calibrating
from pybert_crf.training.calibrating import held_out_error

Make = Callable[..., TrainOptions]


def test_the_error_of_halves_by_hand(options: Make, corpus: Path) -> None:
    tagger = Tagger.from_pretrained(train(options(epochs=3)).out)
    dev = read_corpus(corpus / "dev.txt")
    middle = len(dev.sentences) // 2
    halves = dev.sentences[:middle], dev.sentences[middle:]
    scored = []
    for half, other in (halves, halves[::-1]):
        tagger.calibrate((each.tokens for each in other), (each.tags for each in other))
        for sentence, tagging in zip(half, tagger.tag_units(each.tokens for each in half), strict=True):
            right = set(spans(sentence.tags, dev.scheme))
            scored += [
                (score, span in right) for span, score in zip(tagging.spans, tagging.scores, strict=True)
            ]
    assert scored
    assert held_out_error(tagger, dev) == pytest.approx(calibration_error(bins(scored)), rel=1e-5)


@pytest.mark.parametrize(("error", "kept"), [(0.0, True), (1.0, False), (None, False)])
def test_a_temperature_that_makes_scores_no_truer_is_not_kept(
    options: Make, corpus: Path, monkeypatch: pytest.MonkeyPatch, error: float | None, kept: bool
) -> None:
    monkeypatch.setattr(calibrating, "held_out_error", lambda tagger, dev: error)
    out = Path(train(options(epochs=3)).out)
    told = json.loads((out / "metrics.json").read_text("utf-8"))["calibration"]
    tagger = Tagger.from_pretrained(out)
    assert told["fitted_temperature"] != 1.0
    assert told["held_out_error"] == error
    assert tagger.temperature == told["temperature"] == (told["fitted_temperature"] if kept else 1.0)
    errors = told["expected_calibration_error"]["dev"]
    assert (errors["before"] == errors["after"]) is not kept
    card = (out / "README.md").read_text("utf-8")
    assert ("emperature 1: " in card) is not kept
    assert tag_corpus(tagger, read_corpus(corpus / "dev.txt"), scores=True).taggings[0].scores
