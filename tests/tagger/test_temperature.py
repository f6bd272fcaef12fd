"""One temperature for all scores: probabilities change, no path does, and fitting finds the best one."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pybert_crf.encoders import ConfigError
from pybert_crf.taggers.decoding import tempered
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.taggers.temperature import CalibrationError, Scored, fit_temperature

Make = Callable[..., Tagger]


def random_texts(count: int) -> list[list[str]]:
    draw = random.Random(7)
    return [draw.choices("张三李四在北京工作7.", k=draw.randint(1, 40)) for _ in range(count)]


def drawn_tags(tagger: Tagger, texts: list[list[str]], temperature: float) -> list[list[str]]:
    """Tags drawn from the distribution that the tagger has at a temperature."""
    generator = torch.Generator().manual_seed(5)
    drawn = []
    for units in texts:
        offsets = [(i, i + 1) for i in range(len(units))]
        with torch.inference_mode():
            emissions, mask = tagger._emissions([tagger.example("".join(units), offsets)])
            crf, emissions = tempered(tagger.model.crf, emissions, temperature)
            tags = crf.sample(emissions, mask, generator=generator)
        drawn.append([tagger.labels[tag] for tag in tags.flatten().tolist()])
    return drawn


@pytest.mark.parametrize("true", [0.5, 3.0])
def test_fitting_finds_the_temperature_that_tags_were_drawn_at(make_tagger: Make, true: float) -> None:
    tagger = make_tagger()
    texts = random_texts(200)
    fitted = tagger.calibrate(texts, drawn_tags(tagger, texts, true))
    assert fitted.temperature == pytest.approx(true, rel=0.06)
    assert tagger.temperature == fitted.temperature
    assert fitted.after < fitted.before
    assert fitted.units == sum(map(len, texts))


def test_the_fitted_temperature_has_the_lowest_loss(make_tagger: Make) -> None:
    tagger = make_tagger()
    texts = random_texts(30)
    tags = drawn_tags(tagger, texts, 1.5)
    fitted = tagger.calibrate(texts, tags)

    def loss(temperature: float) -> float:
        """The loss, text by text."""
        total = 0.0
        for units, right in zip(texts, tags, strict=True):
            numbers = torch.tensor([[tagger.labels.index(tag) for tag in right]])
            offsets = [(i, i + 1) for i in range(len(units))]
            with torch.inference_mode():
                emissions, mask = tagger._emissions([tagger.example("".join(units), offsets)])
                crf, emissions = tempered(tagger.model.crf, emissions.double(), temperature)
                total -= float(crf(emissions, numbers, mask))
        return total / fitted.units

    assert loss(1.0) == pytest.approx(fitted.before, abs=1e-6)
    assert loss(fitted.temperature) == pytest.approx(fitted.after, abs=1e-6)
    assert min(loss(fitted.temperature * factor) for factor in (0.97, 1.03)) > fitted.after


def test_no_path_changes_and_probabilities_do(make_tagger: Make) -> None:
    tagger = make_tagger()
    texts = ["".join(units) for units in random_texts(20)]
    plain = list(tagger.annotate(texts))
    best = tagger.k_best(texts[0], 50)
    tagger.temperature = 2.0
    for before, after in zip(plain, tagger.annotate(texts), strict=True):
        assert after.tags == before.tags
        assert [(e.start, e.end, e.label) for e in after.entities] == [
            (e.start, e.end, e.label) for e in before.entities
        ]
    again = tagger.k_best(texts[0], 50)
    assert [each.tags for each in again] == [each.tags for each in best]
    assert again[0].probability < best[0].probability
    ratios = [math.log(a.probability / again[0].probability) for a in again[:5]]
    expected = [math.log(b.probability / best[0].probability) / 2.0 for b in best[:5]]
    np.testing.assert_allclose(ratios, expected, atol=1e-4)


def test_it_is_saved_and_old_taggers_have_1(make_tagger: Make, tmp_path: Path) -> None:
    tagger = make_tagger()
    tagger.temperature = 1.75
    tagger.save_pretrained(tmp_path)
    assert Tagger.from_pretrained(tmp_path).temperature == 1.75
    path = tmp_path / "config.json"
    config = json.loads(path.read_text("utf-8"))
    del config["pybert_crf"]["temperature"]
    path.write_text(json.dumps(config), "utf-8")
    assert Tagger.from_pretrained(tmp_path).temperature == 1.0
    for wrong in (0, -1.0, "1", True, None, 1e999):
        config["pybert_crf"]["temperature"] = wrong
        path.write_text(json.dumps(config), "utf-8")
        with pytest.raises(ConfigError, match=r"temperature must be positive and finite"):
            Tagger.from_pretrained(tmp_path)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_no_such_temperature(make_tagger: Make, wrong: float) -> None:
    with pytest.raises(ValueError, match="temperature must be positive and finite"):
        make_tagger().temperature = wrong


def test_where_the_tagger_is_always_right_there_is_no_best_temperature(make_tagger: Make) -> None:
    tagger = make_tagger()
    texts = random_texts(10)
    right = [tagging.tags for tagging in tagger.tag_units(texts)]
    fitted = tagger.calibrate(texts, right)
    assert (fitted.temperature, fitted.after) == (1.0, fitted.before)


def test_sentences_that_cannot_be_used_are_left_out(make_tagger: Make) -> None:
    tagger = make_tagger()
    texts = random_texts(20)
    tags = drawn_tags(tagger, texts, 2.0)
    expected = tagger.calibrate(texts, tags)
    more = [["张"], ["三", "在"], []]
    known = [["B-ORG"], ["O", "I-PER"], []]  # an unknown tag, a forbidden transition, nothing
    assert tagger.calibrate([*texts, *more], [*tags, *known]) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(CalibrationError, match="no sentence can be used"):
        tagger.calibrate(more, known)
    with pytest.raises(ValueError, match="1 units but 2 tags"):
        tagger.calibrate([["张"]], [["O", "O"]])


def test_a_large_corpus_is_not_held_whole(make_tagger: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybert_crf.taggers.temperature.MOST", 1000)
    crf, given = make_tagger().model.crf, []

    def batches() -> object:
        for _ in range(100):
            given.append(1)
            draw = torch.Generator().manual_seed(len(given))
            tags = torch.zeros(4, 10, dtype=torch.int64)
            yield Scored(torch.randn(4, 10, 5, generator=draw), tags, torch.ones(4, 10, dtype=torch.bool))

    fitted = fit_temperature(crf, batches())  # type: ignore[arg-type]
    assert (fitted.units, len(given)) == (200, 5)


def test_scores_at_a_temperature_leave_those_of_the_tagger_as_they_are(make_tagger: Make) -> None:
    crf = make_tagger().model.crf
    before = {name: score.clone() for name, score in crf.state_dict().items()}
    emissions = torch.randn(2, 5, crf.num_tags)
    scaled, divided = tempered(crf, emissions, 2.0)
    assert torch.equal(divided, emissions / 2.0)
    for name, score in crf.state_dict().items():
        assert torch.equal(score, before[name])
        assert torch.equal(scaled.state_dict()[name], score / 2.0)
    assert not any(score.requires_grad for score in scaled.parameters())
    assert all(score.requires_grad for score in crf.parameters())
