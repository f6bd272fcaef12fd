"""The probability of the best reading, the least certain texts, and texts that are tagged by sentence."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import pytest

from pybert_crf.annotation.by_sentence import joined
from pybert_crf.annotation.entities import Annotation, Tagging
from pybert_crf.annotation.least_certain import LeastCertain
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.entity_spans import Span, spans

Make = Callable[..., Tagger]


def random_texts(count: int) -> list[str]:
    draw = random.Random(3)
    return ["".join(draw.choices("张三李四在北京工作7. ", k=draw.randint(0, 12))) for _ in range(count)]


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_probability_is_that_of_the_best_reading(make_tagger: Make, temperature: float) -> None:
    tagger = make_tagger()
    tagger.temperature = temperature
    texts = random_texts(30)
    for text, found in zip(texts, tagger.annotate(texts, probability=True), strict=True):
        assert found.probability == pytest.approx(tagger.k_best(text, 1)[0].probability, abs=1e-5)
    assert next(tagger.annotate(["张三"])).probability is None


def test_the_least_certain_texts_in_order(make_tagger: Make) -> None:
    tagger = make_tagger()
    texts = random_texts(600)  # more than are read ahead
    every = list(tagger.annotate(texts, probability=True))
    expected = sorted(every, key=lambda each: each.log_probability or 0.0)[:7]
    assert [each.text for each in tagger.least_certain(iter(texts), 7)] == [each.text for each in expected]
    assert len(tagger.least_certain(texts[:3], 7)) == 3
    with pytest.raises(ValueError, match="n must be positive, got 0"):
        tagger.least_certain(texts, 0)


def test_of_equally_certain_ones_the_first_are_kept() -> None:
    kept = LeastCertain(2)
    for number, log_probability in enumerate([-1.0, -2.0, -1.0, -2.0, -2.0]):
        kept.add(Annotation(str(number), [], [], [], log_probability))
    assert [each.text for each in kept.in_order()] == ["1", "3"]


def test_a_long_text_is_uncertain_without_underflow(make_tagger: Make) -> None:
    tagger = make_tagger(max_positions=32)
    tagger.temperature = 8.0
    (found,) = tagger.annotate(["张三在北京" * 1000], probability=True)
    assert found.log_probability is not None
    assert -math.inf < found.log_probability < -1000.0
    assert found.probability == 0.0


def test_sentences_are_tagged_as_if_alone(make_tagger: Make) -> None:
    tagger = make_tagger()
    parts = ["张三在北京。", "李四 工作！", "\n", "7.7年？”", "张张"]
    text = " ".join(parts)
    tagger.split_sentences = True
    whole, nothing = tagger.annotate([text, ""], probability=True)
    assert (nothing.tags, nothing.log_probability) == ([], 0.0)
    tagger.split_sentences = False
    alone = list(tagger.annotate(parts, probability=True))
    assert whole.tags == [tag for each in alone for tag in each.tags]
    place, expected = 0, []
    for part, each in zip(parts, alone, strict=True):
        expected += [(place + e.start, place + e.end, e.label, e.text) for e in each.entities]
        place += len(part) + 1
    assert [(e.start, e.end, e.label, e.text) for e in whole.entities] == expected
    assert expected
    assert whole.log_probability == pytest.approx(
        sum(each.log_probability or 0.0 for each in alone), abs=1e-4
    )
    assert all(text[e.start : e.end] == e.text for e in whole.entities)


def test_tags_of_joined_sentences_keep_entities_apart() -> None:
    one = Tagging(["I-PER"], [Span(0, 1, "PER")], [0.5], -1.0)
    both = joined([one, one], "IOB1")
    assert both.spans == spans(both.tags, "IOB1") == [Span(0, 1, "PER"), Span(1, 2, "PER")]
    assert (both.scores, both.log_probability) == ([0.5, 0.5], -2.0)


def test_a_stream_is_not_held(make_tagger: Make) -> None:
    """No more annotations are alive than those that are kept and those read ahead."""
    tagger, given = make_tagger(), []

    def endless() -> Iterator[str]:
        for text in random_texts(50) * 40:
            given.append(text)
            yield text

    kept = LeastCertain(3)
    for annotation in tagger.annotate(endless(), look_ahead=8, probability=True):
        kept.add(annotation)
        assert len(kept._heap) <= 3
    assert len(given) == 2000
