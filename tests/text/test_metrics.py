"""Entity scores: seqeval's figures, both readings, and no warnings on the way."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB1, IOB2, IOBES

from pybert_crf.text.metrics import Scores, evaluate
from pybert_crf.text.schemes import convert

SEQEVAL_SCHEMES = {"BIO": IOB2, "IOB1": IOB1, "BIOES": IOBES, "BMES": IOBES}

Tags = list[list[str]]


def assert_same(scores: Scores, theirs: dict[str, Any]) -> None:
    """The two reports hold the same types and figures."""
    rows = dict(scores.rows())
    assert rows.keys() == {name.removesuffix(" avg") for name in theirs if name != "weighted avg"}
    for name, score in rows.items():
        row = theirs[f"{name} avg" if name in ("micro", "macro") else name]
        ours = [score.precision, score.recall, score.f1, score.support]
        assert ours == pytest.approx(
            [row[key] for key in ("precision", "recall", "f1-score", "support")], abs=1e-12
        )


def check(gold: Tags, predicted: Tags, scheme: str) -> None:
    """Our report of these tags is seqeval's, in both readings."""
    report = evaluate(gold, predicted, scheme)
    if scheme == "BMES":
        gold, predicted = (
            [[t.replace("M-", "I-", 1) for t in tags] for tags in x] for x in (gold, predicted)
        )
    options: dict[str, Any] = {"output_dict": True, "zero_division": 0}
    if report.conlleval.types:
        assert_same(report.conlleval, classification_report(gold, predicted, **options))
    if report.strict.types:
        strict = classification_report(
            gold, predicted, mode="strict", scheme=SEQEVAL_SCHEMES[scheme], **options
        )
        assert_same(report.strict, strict)


@given(st.data())
@settings(max_examples=150)
def test_random_tags(data: st.DataObject, any_tags: st.SearchStrategy[tuple[str, list[str]]]) -> None:
    scheme, first = data.draw(any_tags.filter(lambda pair: pair[0] != "BILOU"))
    gold = [first, *data.draw(st.lists(any_tags.map(lambda pair: pair[1]), max_size=3))]
    letters = {"BIO": "BI", "IOB1": "BI", "BIOES": "BIES", "BMES": "BMES"}[scheme]
    gold = [[tag for tag in tags if tag[0] in "O" + letters] for tags in gold]
    vocabulary = [
        "O",
        "O",
        *(f"{letter}-{label}" for letter in letters for label in ("PER", "LOC", "creative-work")),
    ]
    generator = data.draw(st.randoms(use_true_random=False))
    predicted = [
        [tag if generator.random() < 0.7 else generator.choice(vocabulary) for tag in tags] for tags in gold
    ]
    check(gold, predicted, scheme)


@pytest.mark.parametrize("target", ["BIO", "BIOES", "BMES"])
def test_a_real_corpus_with_noise(data_dir: Any, target: str) -> None:
    from pybert_crf.text.corpus import read_corpus

    corpus = read_corpus(data_dir / "wnut17" / "test.conll")
    gold = [convert(sentence.tags, corpus.scheme, target) for sentence in corpus.sentences]
    tags = sorted({tag for sentence in gold for tag in sentence})
    generator = random.Random(5)
    predicted = [
        [t if generator.random() < 0.95 else generator.choice(tags) for t in sentence] for sentence in gold
    ]
    check(gold, predicted, target)
    report = evaluate(gold, predicted, target)
    assert 0 < report.conlleval.micro.f1 < report.strict.micro.f1 < 1 or target == "BIO"


def test_the_two_readings() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O"]]
    report = evaluate(gold, [["I-PER", "I-PER", "O", "B-LOC"], ["B-LOC"]], "BIO")
    assert (report.conlleval.micro.correct, report.strict.micro.correct) == (2, 1)
    assert report.conlleval.micro.precision == pytest.approx(2 / 3)
    assert report.conlleval.micro.recall == 1.0
    assert report.f1 == report.conlleval.micro.f1 == pytest.approx(0.8)
    assert report.conlleval.macro.f1 == pytest.approx((1 + 2 / 3) / 2)
    assert report.strict.types["PER"].f1 == 0.0


def test_an_entity_counts_once_per_sentence_it_is_in() -> None:
    report = evaluate([["B-A"], ["B-A"]], [["B-A"], ["O"]], "BIO")
    micro = report.conlleval.micro
    assert (micro.support, micro.predicted, micro.correct) == (2, 1, 1)


@pytest.mark.parametrize(
    ("gold", "predicted"), [([], []), ([["O"]], [["O"]]), ([["O"]], [["B-A"]]), ([["B-A"]], [["O"]])]
)
def test_divisions_by_zero_are_zero(gold: Tags, predicted: Tags) -> None:
    report = evaluate(gold, predicted, "BIO")
    for _, _, score in report.rows():
        assert (score.precision, score.recall, score.f1) == (0.0, 0.0, 0.0)
    assert [name for _, name, _ in report.rows()][-2:] == ["micro", "macro"]


def test_to_dict_is_plain_data() -> None:
    report = evaluate([["B-A", "O"]], [["B-A", "B-B"]], "BIO")
    figures = json.loads(json.dumps(report.to_dict()))
    assert figures == report.to_dict()
    assert figures["strict"]["types"]["A"]["f1"] == 1.0
    assert figures["conlleval"]["micro"]["precision"] == 0.5
    assert set(figures["conlleval"]["macro"]) == {
        "precision",
        "recall",
        "f1",
        "support",
        "predicted",
        "correct",
    }


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 gold sentences, but 1 predicted"):
        evaluate([["O"], ["O"]], [["O"]], "BIO")
    with pytest.raises(ValueError, match="sentence 1: 2 gold tags, but 1 predicted"):
        evaluate([["O"], ["O", "O"]], [["O"], ["O"]], "BIO")
    with pytest.raises(ValueError, match="'E-A' has a prefix that BIO does not use"):
        evaluate([["O"]], [["E-A"]], "BIO")
