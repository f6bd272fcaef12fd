"""Rules of a reading: they act inside the CRF, as enumeration of the readings that keep them shows."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_readings import every_reading

from pybert_crf.annotation.rules import Rules
from pybert_crf.reading import ConfigError
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.entity_spans import Span, spans, tags_from_spans
from pybert_crf.text.tagging.schemes import SCHEMES

Make = Callable[..., Tagger]
TEXT = "张三张北"

LABELS = {
    scheme: ["O", *(f"{prefix}-{kind}" for kind in ("LOC", "PER") for prefix in prefixes)]
    for scheme, prefixes in {
        "BIO": "BI", "IO": "I", "IOB1": "BI", "BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU",
        "BIOS": "BIS", "BMEWO": "BMEW", "IOE2": "IE", "IOE1": "IE",
    }.items()
}  # fmt: skip


def test_every_scheme_has_labels_here() -> None:
    assert set(LABELS) == set(SCHEMES) - {"none"}


@pytest.mark.parametrize("scheme", LABELS)
def test_the_readings_that_keep_the_rules_remain(make_tagger: Make, scheme: str) -> None:
    """The best one, and all their probabilities, as by enumeration of every reading."""
    tagger = make_tagger(labels=LABELS[scheme], scheme=scheme)
    every = every_reading(tagger, TEXT)
    tagger.rules = Rules(must={"LOC": ["三"]}, never={"PER": [re.compile("北")], "*": ["张三张北京"]})

    def keeps(tags: tuple[str, ...]) -> bool:
        found = spans(tags, scheme)
        if scheme in ("IO", "IOB1") and any(s.end == 1 and s.label == "LOC" for s in found):
            return False
        return Span(1, 2, "LOC") in found and not any(s.label == "PER" and s.end > 3 for s in found)

    kept = {tags: p for tags, p in every.items() if keeps(tags)}
    (spelled,) = tags_from_spans([Span(0, 1, "LOC")], 1, scheme)  # BIOS reads B-LOC alike
    kept = {tags: p for tags, p in kept.items() if tags[1] == spelled}
    total = sum(kept.values())
    found = tagger.k_best(TEXT, 10_000)
    assert len(found) == len(kept)
    for reading in found:
        assert reading.probability == pytest.approx(kept[tuple(reading.tags)] / total, abs=1e-5)
    (annotation,) = tagger.annotate([TEXT])
    assert annotation.entities == found[0].entities
    np.testing.assert_allclose(tagger.marginals(TEXT).probabilities.sum(1), 1, atol=1e-5)


def test_surfaces_are_whole_units(make_tagger: Make) -> None:
    tagger = make_tagger("word")
    tagger.rules = Rules(must={"LOC": ["in", "works in"]})
    (first, second) = tagger.annotate(["Inside in inside", "李四 works in Shanghai"])
    assert [e.text for e in first.entities if e.label == "LOC" and e.text == "in"] == ["in"]
    assert not any("inside" in e.text and "in inside" not in e.text and e.score == 1 for e in first.entities)
    assert "works in" in [e.text for e in second.entities]  # the longer one
    assert next(e.score for e in second.entities if e.text == "works in") == pytest.approx(1.0, abs=1e-5)


def test_only_the_labels_are_found(make_tagger: Make) -> None:
    tagger = make_tagger()
    text = "张三在北京工作7.7年。李四" * 3
    assert {entity.label for entity in tagger(text)} == {"LOC", "PER"}
    tagger.rules = Rules(labels=frozenset({"LOC"}))
    assert {entity.label for entity in tagger(text)} == {"LOC"}
    tagger.rules = Rules(never={"*": [re.compile(".+")]})
    assert tagger(text) == []
    tagger.rules = None
    assert {entity.label for entity in tagger(text)} == {"LOC", "PER"}


def test_rules_hold_in_units_and_beyond_a_window(make_tagger: Make) -> None:
    tagger = make_tagger(max_positions=16)
    text = "张三在北京工作" * 9
    tagger.rules = Rules(must={"LOC": ["北京工"]})
    found = [(e.start, e.end) for e in tagger(text) if e.label == "LOC" and e.text == "北京工"]
    assert found == [(3 + 7 * n, 6 + 7 * n) for n in range(9)]
    (tagging,) = tagger.tag_units([list(text)])
    assert tagging.tags == next(tagger.annotate([text])).tags


def test_plain_tags_can_be_ruled_too(make_tagger: Make) -> None:
    tagger = make_tagger(labels=["NN", "VV"], scheme=None)
    every = {
        tags: tagger.score("张三", [(0, 1, tags[0]), (1, 2, tags[1])])
        for tags in itertools.product(tagger.labels, repeat=2)
    }
    tagger.rules = Rules(must={"VV": ["三"]})
    (reading, other) = tagger.k_best("张三", 9)
    assert {reading.tags[1], other.tags[1]} == {"VV"}
    total = every["NN", "VV"] + every["VV", "VV"]
    assert reading.probability == pytest.approx(every[tuple(reading.tags)] / total, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"must": {"ORG": ["张"]}}, "the tagger has no type ORG; it has LOC, PER"),
        ({"must": {"LOC": ["张"], "PER": ["张"]}}, "'张' must be LOC and PER"),
        ({"must": {"LOC": [""]}}, "must: LOC holds '': empty"),
        ({"must": {"*": ["张"]}}, "must needs a type"),
        ({"must": {"LOC": ["张"]}, "labels": ["PER"]}, "that must be found are not among the labels: LOC"),
        (
            {"must": {"LOC": ["张三"]}, "never": {"LOC": ["三"]}},
            "'张三' must be LOC, but another rule",
        ),
        ({"must": {"LOC": ["张"], "PER": [{"pattern": "张"}]}}, "must be LOC and PER|must be PER and LOC"),
        ({"must": ["张"]}, "must must be an object"),
        ({"must": {"LOC": "张"}}, "must.LOC must be a list of surfaces"),
        ({"never": {"LOC": [7]}}, "never.LOC holds 7"),
        ({"never": {"LOC": [{"pattern": "("}]}}, "is no regular expression"),
        ({"labels": "LOC"}, "labels must be a list of types"),
        ({"musts": {}}, "unknown keys musts; known: must, never, labels"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(
    make_tagger: Make, tmp_path: Path, given: dict[str, object], told: str
) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(given, ensure_ascii=False), encoding="utf-8")
    tagger = make_tagger()

    def use() -> None:
        tagger.rules = Rules.from_file(path)
        tagger("张三")

    with pytest.raises(ValueError, match=told) as error:
        use()
    assert str(path) in str(error.value) or not isinstance(error.value, ConfigError)


def test_rules_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    given = {"must": {"LOC": ["北京", {"pattern": "第.中学"}]}, "never": {"*": ["工作"]}, "labels": ["LOC"]}
    path.write_text(json.dumps(given, ensure_ascii=False), encoding="utf-8")
    rules = Rules.from_file(path)
    assert rules.must == {"LOC": ["北京", re.compile("第.中学")]}
    assert (rules.never, rules.labels) == ({"*": ["工作"]}, frozenset({"LOC"}))
