"""What else the tagger knows of a text: marginals, the best readings, the probability of any reading."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from pybert_crf.annotation.entities import Entity, Tagging
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.entity_spans import Span, spans
from pybert_crf.text.tagging.schemes import illegal_positions

Make = Callable[..., Tagger]
TEXT = "张 三在北"


def every_reading(tagger: Tagger, text: str) -> dict[tuple[str, ...], float]:
    """The probability of every path of tags, by enumeration, with the rules of the scheme alone."""
    units = [(i, i + 1) for i, character in enumerate(text) if character != " "]
    with torch.inference_mode():
        emissions = tagger._emissions([tagger.example(text, units)])[0][0].double()
    crf = copy.deepcopy(tagger.model.crf).requires_grad_(False)
    scores = {}
    for path in itertools.product(range(len(tagger.labels)), repeat=len(units)):
        tags = [tagger.labels[tag] for tag in path]
        if not illegal_positions(tags, tagger.scheme):
            steps = sum(float(crf.transitions[a, b]) for a, b in itertools.pairwise(path))
            ends = float(crf.start_transitions[path[0]] + crf.end_transitions[path[-1]])
            score = ends + steps + float(emissions[range(len(path)), path].sum())
            scores[tuple(tags)] = score / tagger.temperature
    total = np.logaddexp.reduce(list(scores.values()))
    return {path: float(np.exp(score - total)) for path, score in scores.items()}


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_marginals_are_those_of_all_readings(make_tagger: Make, temperature: float) -> None:
    tagger = make_tagger()
    tagger.temperature = temperature
    found = tagger.marginals(TEXT)
    expected = np.zeros((4, 5))
    for path, probability in every_reading(tagger, TEXT).items():
        for unit, tag in enumerate(path):
            expected[unit, tagger.labels.index(tag)] += probability
    assert found.units == ["张", "三", "在", "北"]
    assert found.labels == tagger.labels
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("k", [1, 3, 10_000])
def test_the_best_readings_are_the_most_probable(make_tagger: Make, k: int, temperature: float) -> None:
    tagger = make_tagger()
    tagger.temperature = temperature
    every = every_reading(tagger, TEXT)
    best = sorted(every.items(), key=lambda item: -item[1])[:k]
    found = tagger.k_best(TEXT, k)
    assert len(found) == len(best)
    np.testing.assert_allclose([each.probability for each in found], [p for _, p in best], atol=1e-5)
    for reading in found[:5]:
        assert every[tuple(reading.tags)] == pytest.approx(reading.probability, abs=1e-5)
        assert [e.label for e in reading.entities] == [s.label for s in spans(reading.tags, "BIO")]
    assert found[0].entities == tagger(TEXT)
    for entity, span in zip(found[0].entities, spans(found[0].tags, "BIO"), strict=True):
        just_so = [p for path, p in every.items() if span in spans(path, "BIO")]
        assert entity.score == pytest.approx(sum(just_so), abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_score_is_the_probability_of_a_reading(make_tagger: Make, temperature: float) -> None:
    tagger = make_tagger()
    tagger.temperature = temperature
    every = every_reading(tagger, TEXT)
    assert tagger.score(TEXT, []) == pytest.approx(every["O", "O", "O", "O"], abs=1e-6)
    given = [Entity(0, 3, "PER", "张 三", 1.0), (4, 5, "LOC")]
    assert tagger.score(TEXT, given) == pytest.approx(every["B-PER", "I-PER", "O", "B-LOC"], abs=1e-6)
    best = tagger.k_best(TEXT, 1)[0]
    assert tagger.score(TEXT, best.entities) == pytest.approx(best.probability, abs=1e-6)


@pytest.mark.parametrize(
    ("entities", "told"),
    [
        ([(0, 2, "PER")], r"PER at 0:2 \('张 '\) does not begin and end with chars of the text"),
        ([(0, 1, "ORG")], "ORG at 0:1 .*: the tagger has no such type, but LOC, PER"),
        ([(0, 3, "PER"), (2, 3, "LOC")], "overlaps another"),
        ([(3, 3, "PER")], "does not begin and end"),
    ],
)
def test_entities_that_are_none_are_refused(make_tagger: Make, entities: list[object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make_tagger().score(TEXT, entities)


def test_plain_tags_are_scored_unit_by_unit(make_tagger: Make) -> None:
    tagger = make_tagger(labels=["NN", "VV"], scheme=None)
    every = sum(tagger.score("张三", [(0, 1, a), (1, 2, b)]) for a in tagger.labels for b in tagger.labels)
    assert every == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError, match="1 plain tags are given for 2 chars"):
        tagger.score("张三", [(0, 1, "NN")])
    with pytest.raises(ValueError, match="min_score needs a tag O"):
        tagger.min_score = 0.5


def test_nothing_is_one_reading(make_tagger: Make) -> None:
    tagger = make_tagger()
    assert tagger.marginals(" ").probabilities.shape == (0, 5)
    assert [(r.tags, r.probability) for r in tagger.k_best("", 3)] == [([], 1.0)]
    assert tagger.score(" ", []) == 1.0
    with pytest.raises(ValueError, match="k must be positive"):
        tagger.k_best("张", 0)


def test_entities_below_the_least_score_are_left_out(make_tagger: Make) -> None:
    tagger = make_tagger()
    text = "张三在北京工作7.7年。李四" * 3
    (whole,) = tagger.annotate([text])
    least = sorted(entity.score for entity in whole.entities)[len(whole.entities) // 2]
    tagger.min_score = least
    try:
        (kept,) = tagger.annotate([text])
        assert kept.entities == [entity for entity in whole.entities if entity.score >= least]
        assert 0 < len(kept.entities) < len(whole.entities)
        assert len(spans(kept.tags, "BIO")) == len(kept.entities)
        (tagging,) = tagger.tag_units([list(text)], scores=False)
        assert tagging.tags == kept.tags
        with pytest.raises(ValueError, match="min_score must be in"):
            tagger.min_score = 1.5
    finally:
        tagger.min_score = 0.0


@pytest.mark.parametrize(("scheme", "prefixes"), [("IOB1", "IB"), ("IOE1", "IE"), ("BIO", "BI")])
def test_what_is_left_when_a_neighbour_is_left_out_is_legal(
    make_tagger: Make, scheme: str, prefixes: str
) -> None:
    tagger = make_tagger(labels=["O", *(f"{prefix}-X" for prefix in prefixes)], scheme=scheme)
    tags = {"IOB1": ["I-X", "B-X"], "IOE1": ["E-X", "I-X"], "BIO": ["B-X", "B-X"]}[scheme]
    two = [Span(0, 1, "X"), Span(1, 2, "X")]
    tagger.min_score = 0.5
    for scores, kept in (([0.1, 0.9], 1), ([0.9, 0.1], 0)):
        left = tagger._likely(Tagging(tags, two, scores))
        assert illegal_positions(left.tags, scheme) == []
        assert spans(left.tags, scheme) == left.spans == [two[kept]]


def test_its_repr_says_what_it_is(make_tagger: Make) -> None:
    told = repr(make_tagger())
    assert told == "Tagger(bert, 2 layers, 12 wide; BIO by char: LOC, PER; cpu, float32)"


def test_half_precision_and_devices(make_tagger: Make) -> None:
    tagger = make_tagger()
    before = tagger.marginals(TEXT).probabilities
    assert tagger.to("cpu") is tagger
    with pytest.raises(ValueError, match="cannot be used here"):
        tagger.to("cuda:99")
    tagger.half()
    assert tagger.model.crf.transitions.dtype == torch.float32
    np.testing.assert_allclose(tagger.marginals(TEXT).probabilities, before, atol=0.02)
