"""Entity scores: both readings equal seqeval's figures, without warnings."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB1, IOB2, IOBES

from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tagging.metrics import Scores, evaluate
from pybert_crf.text.tagging.schemes import convert

SEQEVAL_SCHEMES = {"BIO": IOB2, "IOB1": IOB1, "BIOES": IOBES, "BMES": IOBES}

Tags = list[list[str]]


def assert_same(scores: Scores, theirs: dict[str, Any]) -> None:
    """Check that two reports have the same types and figures."""
    rows = {"_" if name == "word" else name: score for name, score in scores.rows()}
    assert rows.keys() == {name.removesuffix(" avg") for name in theirs if name != "weighted avg"}
    for name, score in rows.items():
        row = theirs[f"{name} avg" if name in ("micro", "macro") else name]
        ours = [score.precision, score.recall, score.f1, score.support]
        assert ours == pytest.approx(
            [row[key] for key in ("precision", "recall", "f1-score", "support")], abs=1e-12
        )


def check(gold: Tags, predicted: Tags, scheme: str) -> None:
    """Check that our report of these tags equals seqeval's, in both readings."""
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


@given(data=st.data(), scheme=st.sampled_from(sorted(SEQEVAL_SCHEMES)))
@settings(max_examples=150)
def test_random_tags(data: st.DataObject, scheme: str) -> None:
    prefixes = {"BIOES": "BIES", "BMES": "BMES"}.get(scheme, "BI")
    tags = [f"{prefix}-{label}" for prefix in prefixes for label in ("PER", "LOC", "creative-work")]
    tag = st.sampled_from(["O", *tags])
    pair = st.one_of(tag.map(lambda agreed: (agreed, agreed)), st.tuples(tag, tag))
    sentences = data.draw(st.lists(st.lists(pair, max_size=8), min_size=1, max_size=4))
    check([[g for g, _ in rows] for rows in sentences], [[p for _, p in rows] for rows in sentences], scheme)


@pytest.mark.parametrize("scheme", ["BIO", "BMES"])
def test_prefixes_alone(scheme: str) -> None:
    generator = random.Random(2)
    prefixes = "BI" if scheme == "BIO" else "BMES"
    gold, predicted = ([generator.choices(prefixes, k=9) for _ in range(20)] for _ in range(2))
    if scheme == "BIO":
        check(gold, predicted, scheme)
    assert list(evaluate(gold, gold, scheme).conlleval.types) == ["word"]


@pytest.mark.parametrize("target", ["BIO", "BIOES", "BMES"])
def test_a_real_corpus_with_noise(data_dir: Path, target: str) -> None:
    corpus = read_corpus(data_dir / "wnut17" / "test.conll")
    gold = [convert(sentence.tags, corpus.scheme, target) for sentence in corpus.sentences]
    tags = sorted({tag for sentence in gold for tag in sentence})
    generator = random.Random(5)
    predicted = [
        [t if generator.random() < 0.95 else generator.choice(tags) for t in sentence] for sentence in gold
    ]
    check(gold, predicted, target)
    report = evaluate(gold, predicted, target)
    assert 0 < report.f1 < 1
    assert report.f1 != report.strict.micro.f1


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
