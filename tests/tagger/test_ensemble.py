"""Several taggers as one: averages against the members', tags against all paths, files, refusals."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pybert_crf import Rules, Tagger
from pybert_crf.annotation.entities import Entity
from pybert_crf.encoders import ConfigError
from pybert_crf.export import export_tagger
from pybert_crf.taggers.ensemble import Ensemble
from pybert_crf.tagging_constraints import tag_constraints

TEXT = "张三在北京"
TEXTS = [TEXT, "李四 works in Shanghai", "", "北京工作7.7年。" * 12, "在"]
Make = Callable[..., Tagger]


def scattered(tagger: Tagger, seed: int, scale: float = 2.0) -> Tagger:
    """The tagger with other random weights above its encoder."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in (tagger.model.linear.weight, *tagger.model.crf.parameters()):
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))
    return tagger


@pytest.fixture(scope="module")
def ensemble(make_tagger: Make) -> Ensemble:
    """Three members: the second with other positions and order of labels, the third without places."""
    whole = Ensemble(
        [
            scattered(make_tagger(), 4),
            scattered(make_tagger(max_positions=32, labels=["O", "I-PER", "B-PER", "I-LOC", "B-LOC"]), 24),
            scattered(make_tagger(labels=["O", "B-PER", "I-PER"]), 44),
        ]
    )
    whole.members[0].temperature = 1.5
    return whole


def paths(member: Tagger, text: str) -> dict[tuple[str, ...], float]:
    """The probability of every legal path of a member, from the scores of all paths."""
    emissions, mask = member._emissions([member.example(text, [(i, i + 1) for i in range(len(text))])])
    every = list(itertools.product(range(len(member.labels)), repeat=len(text)))
    crf = member.model.crf
    with torch.no_grad():
        scores = crf.score(
            emissions.expand(len(every), -1, -1), torch.tensor(every), mask.expand(len(every), -1)
        )
    shares = (scores.double() / member.temperature).softmax(0).tolist()
    named = (tuple(member.labels[tag] for tag in path) for path in every)
    return {path: share for path, share in zip(named, shares, strict=True) if share > 0}


def test_marginals_are_the_mean_over_the_members(ensemble: Ensemble) -> None:
    assert ensemble.labels == ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")
    found = ensemble.marginals(TEXT)
    each = [member.marginals(TEXT) for member in ensemble.members]
    for t in range(len(TEXT)):
        for k, label in enumerate(ensemble.labels):
            shares = [
                float(m.probabilities[t, m.labels.index(label)]) if label in m.labels else 0.0 for m in each
            ]
            assert found.probabilities[t, k] == pytest.approx(math.fsum(shares) / 3, abs=1e-6)
    assert found.probabilities.sum(1) == pytest.approx(1)
    assert ensemble.marginals("").probabilities.shape == (0, 5)


def test_tags_are_the_best_legal_path_over_the_averages(ensemble: Ensemble) -> None:
    text = TEXT[:4]
    averages = ensemble.marginals(text).probabilities.astype(float)
    legal = tag_constraints(ensemble.labels, "BIO")
    assert legal.start is not None
    assert legal.transitions is not None
    best = max(
        (
            path
            for path in itertools.product(range(5), repeat=len(text))
            if legal.start[path[0]] and all(legal.transitions[pair] for pair in itertools.pairwise(path))
        ),
        key=lambda path: math.prod(averages[t, k] for t, k in enumerate(path)),
    )
    (annotation,) = ensemble.annotate([text])
    assert annotation.tags == [ensemble.labels[k] for k in best]


def test_a_score_is_the_mean_of_the_members_exact_probabilities(ensemble: Ensemble) -> None:
    found = [(text, entity) for text in (TEXT, "张三李四", "京北三在") for entity in ensemble(text)]
    assert {entity.label for _, entity in found} == {"LOC", "PER"}
    for text, entity in found:
        wanted = 0.0
        for member in ensemble.members:
            tags = [f"B-{entity.label}"] + [f"I-{entity.label}"] * (entity.end - entity.start - 1)
            for path, share in paths(member, text).items():
                after = path[entity.end : entity.end + 1]
                if list(path[entity.start : entity.end]) == tags and after != (f"I-{entity.label}",):
                    wanted += share / 3
        assert entity.score == pytest.approx(wanted, abs=1e-6)
    (score,) = {ensemble.score(TEXT, ensemble(TEXT))}
    tags = tuple(next(ensemble.annotate([TEXT])).tags)
    whole = sum(paths(member, TEXT).get(tags, 0.0) for member in ensemble.members) / 3
    assert score == pytest.approx(whole, rel=1e-4)
    assert ensemble.score("", []) == 1.0


def test_tags_are_legal_whatever_the_members_say(make_tagger: Make) -> None:
    """Scores so large that almost all probabilities underflow to 0."""
    wild = Ensemble([scattered(make_tagger(), seed, 300.0) for seed in range(4)])
    for annotation in wild.annotate(TEXTS):
        before = "O"
        for tag in annotation.tags:
            assert tag[0] != "I" or (before[0] in "BI" and before[2:] == tag[2:])
            before = tag


def test_texts_of_all_lengths_and_in_any_company(ensemble: Ensemble) -> None:
    together = list(ensemble.tag(TEXTS))
    for text, entities in zip(TEXTS, together, strict=True):
        (alone,) = ensemble.tag([text])
        assert [entity.to_dict() | {"score": 0} for entity in alone] == [
            entity.to_dict() | {"score": 0} for entity in entities
        ]
        assert all(text[e.start : e.end] == e.text and 0 < e.score <= 1 for e in entities)
    units = list(ensemble.tag_units([list(TEXT)], scores=False))
    assert units[0].tags == next(ensemble.annotate([TEXT])).tags
    assert units[0].scores == []


def test_members_read_documents_with_their_own_context(make_tagger: Make) -> None:
    members = [scattered(make_tagger(), seed) for seed in (4, 24, 44)]
    members[0].context, members[2].context = 2, 40
    whole = Ensemble(members)
    assert [member.context for member in members] == [2, 0, 40]
    documents = [["张三在北京", "李四", "在北京工作"], [], ["北京"]]
    prepared = [list(each.reader().read_documents(documents)) for each in (whole, *members)]
    for own, *others in zip(*prepared, strict=True):
        assert [own.example._replace(others=()), *own.example.others] == [each.example for each in others]
        assert {each.text for each in others} == {own.text}
    found = list(whole.annotate_documents(documents))
    assert [[each.text for each in document] for document in found] == documents
    alone = [annotation.tags for annotation in whole.annotate(documents[0])]
    assert alone != [annotation.tags for annotation in found[0]]
    whole.context = 0
    assert [member.context for member in members] == [0, 0, 0]
    again = next(whole.annotate_documents(documents))
    assert [annotation.tags for annotation in again] == alone


def test_equal_members_are_as_one(make_tagger: Make) -> None:
    one = scattered(make_tagger(), 5, 4.0)  # sure of itself: the best path is that of the best marginals
    both = Ensemble([one, one])
    assert both.marginals(TEXT).probabilities == pytest.approx(one.marginals(TEXT).probabilities, abs=1e-6)
    assert [e.to_dict() for e in both(TEXT)] == [
        e.to_dict() | {"score": pytest.approx(e.score, abs=1e-6)} for e in one(TEXT)
    ]


def test_rules_and_a_least_score_act_on_the_whole(ensemble: Ensemble) -> None:
    try:
        ensemble.rules = Rules(must={"LOC": ["张三"]}, never={"*": ["北"]})  # one member has no LOC
        found = ensemble(TEXT)
        assert ("LOC", "张三") in [(entity.label, entity.text) for entity in found]
        assert not any("北" in entity.text for entity in found)
        assert ensemble.marginals(TEXT).probabilities.sum(1) == pytest.approx(1)
        ensemble.rules, ensemble.min_score = None, 0.5
        kept = [entity.score for entities in ensemble.tag(TEXTS) for entity in entities]
        assert kept
        assert min(kept) >= 0.5
    finally:
        ensemble.rules, ensemble.min_score = None, 0.0


def test_saved_and_opened_by_the_door_of_taggers(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.save_pretrained(tmp_path / "all")
    opened = Tagger.from_pretrained(tmp_path / "all")
    assert isinstance(opened, Ensemble)
    assert list(opened.tag(TEXTS)) == list(ensemble.tag(TEXTS))
    assert repr(opened).startswith("Ensemble(3 members: Tagger(")
    assert opened.to("cpu") is opened
    opened.quantise()
    assert opened.int8
    assert {entity.label for entity in opened(TEXT)} <= {"LOC", "PER"}
    with pytest.raises(ValueError, match="quantised tagger cannot be saved"):
        opened.save_pretrained(tmp_path / "again")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"format": 2, "members": ["a", "b"]}, "format is 2"),
        ({"format": 1, "members": ["member-1"]}, "names of two directories or more"),
        ({"format": 1, "members": ["member-1", "../x"]}, "names of two directories or more"),
        ({"format": 1, "members": ["member-1", ".."]}, "names of two directories or more"),
        ({"format": 1, "members": ["member-1", 3]}, "names of two directories or more"),
        ({"format": 1}, "names of two directories or more, got None"),
        ([], "a JSON object is expected"),
    ],
)
def test_damaged_files_are_named(content: Any, told: str, tmp_path: Path) -> None:
    (tmp_path / "ensemble.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=rf"ensemble\.json: .*{re.escape(told)}"):
        Tagger.from_pretrained(tmp_path)


def test_what_does_not_go_together_is_refused(ensemble: Ensemble, make_tagger: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two members or more, got 1"):
        Ensemble([make_tagger()])
    with pytest.raises(ValueError, match="must be of one unit, got char, word"):
        Ensemble([make_tagger(), make_tagger("word")])
    with pytest.raises(ValueError, match="must be of one scheme, got BIO, BIOES"):
        Ensemble([make_tagger(), make_tagger(labels=["O", "S-PER"], scheme="BIOES")])
    ensemble.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="device must be named: not auto"):
        Tagger.from_pretrained(tmp_path, device="auto")
    (tmp_path / "member-2" / "ensemble.json").write_text("{}")
    with pytest.raises(ConfigError, match="member-2 is an ensemble itself"):
        Tagger.from_pretrained(tmp_path)


def test_what_an_ensemble_cannot_do_is_refused(ensemble: Ensemble, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="an ensemble has no k best readings"):
        ensemble.k_best(TEXT, 2)
    with pytest.raises(ValueError, match="an ensemble has no temperature of its own"):
        ensemble.temperature = 2.0
    with pytest.raises(ValueError, match="an ensemble has no temperature of its own"):
        ensemble.calibrate([["张"]], [["O"]])
    with pytest.raises(ValueError, match="an ensemble has no model of its own"):
        export_tagger(ensemble, tmp_path / "out", "onnx")
    with pytest.raises(ValueError, match="an ensemble opens from a directory only: upload its members"):
        ensemble.push_to_hub("owner/name")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ensemble.nothing  # noqa: B018
    with pytest.raises(ValueError, match="the tagger has no such type"):
        ensemble.score(TEXT, [Entity(0, 2, "ORG", "张三", 1.0)])


def test_the_probability_is_the_mean_of_the_members(ensemble: Ensemble) -> None:
    for text, found in zip(TEXTS, ensemble.annotate(TEXTS, probability=True), strict=True):
        assert found.probability == pytest.approx(ensemble.score(text, found.entities), abs=1e-5)
    by_paths = sum(
        paths(member, TEXT).get(tuple(ensemble_tags(ensemble)), 0.0) for member in ensemble.members
    )
    (first,) = ensemble.annotate([TEXT], probability=True)
    assert first.probability == pytest.approx(by_paths / 3, abs=1e-6)


def ensemble_tags(ensemble: Ensemble) -> list[str]:
    (found,) = ensemble.annotate([TEXT])
    return found.tags


def test_sentences_of_a_text_one_by_one(ensemble: Ensemble) -> None:
    ensemble.split_sentences = True
    try:
        (whole,) = ensemble.annotate(["张三在北京。李四！"])
    finally:
        ensemble.split_sentences = False
    alone = ensemble.annotate(["张三在北京。", "李四！"])
    assert whole.tags == [tag for each in alone for tag in each.tags]
