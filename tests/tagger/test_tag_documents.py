"""Sentences read in their documents: what the encoder sees, what the CRF sees, and which answers come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pybert_crf.batches import collate
from pybert_crf.encoders import ConfigError
from pybert_crf.taggers.tagger import Tagger

Make = Callable[..., Tagger]

DOCUMENTS = [["张三在北京", "工作7年", "", "北京在三"], ["作工"], [], ["年年在北", "北京张三工作" * 20, "三"]]


def emissions_of(tagger: Tagger, sentences: list[str], documents: list[int]) -> list[Tensor]:
    """The emissions of each sentence, all in one batch."""
    examples = [each.example for each in tagger.reader().read(sentences, documents)]
    batch = collate(examples, tagger.layout)
    with torch.no_grad():
        emissions = tagger.model(batch)
    return [row[mask] for row, mask in zip(emissions, batch.mask, strict=True)]


def by_hand(tagger: Tagger, left: str, sentence: str, right: str) -> Tensor:
    """The emissions of a sentence, of which the encoder reads the whole concatenation."""
    ids = tagger.tokenizer.encode(list(left + sentence + right)).ids
    row = torch.tensor([[*tagger.tokenizer.before, *ids, *tagger.tokenizer.after]])
    with torch.no_grad():
        hidden = tagger.model.encoder(row, torch.ones_like(row, dtype=torch.bool))
        scores: Tensor = tagger.model.linear(hidden)
    start = len(tagger.tokenizer.before) + len(left)
    return scores[0, start : start + len(sentence)]


def test_emissions_are_those_of_the_concatenation(make_tagger: Make) -> None:
    tagger = make_tagger()
    tagger.context = 6
    sentences = ["张三在北京", "工作7年", "北京在三", "作工", "三"]
    found = emissions_of(tagger, sentences, [1, 1, 1, 2, 0])
    around = [("", "工作7年北京"), ("张三在北京", "北京在三"), ("京工作7年", ""), ("", ""), ("", "")]
    around[2] = ("北京工作7年"[-6:], "")
    for own, sentence, (left, right) in zip(found, sentences, around, strict=True):
        torch.testing.assert_close(own, by_hand(tagger, left, sentence, right), atol=1e-5, rtol=1e-5)
    alone = by_hand(tagger, "", "工作7年", "")
    assert not torch.allclose(found[1], alone, atol=1e-2)  # the context is seen


def test_without_context_nothing_changes(make_tagger: Make) -> None:
    tagger = make_tagger()
    sentences = ["张三在北京", "工作7年", "北京在三"]
    before = list(tagger.tag_units(map(list, sentences)))
    expected = [each.example for each in tagger.reader().read(sentences)]
    assert [each.example for each in tagger.reader().read(sentences, [1, 1, 1])] == expected
    assert list(tagger.tag_units(map(list, sentences), documents=[1, 1, 1])) == before
    tagger.context = 64  # sentences of no document are read alone
    assert list(tagger.tag_units(map(list, sentences))) == before
    assert [annotation.tags for annotation in tagger.annotate(sentences)] == [each.tags for each in before]


def test_what_a_temperature_is_fitted_on_is_read_in_its_documents(make_tagger: Make) -> None:
    tagger = make_tagger()
    tagger.context = 6
    units, tags = [list("张三在北京"), list("工作7年北")], [["O"] * 5, ["O", "B-LOC", "O", "O", "B-PER"]]
    (scored,) = tagger._scored(tagger.reader().read(units, [1, 1]), tags, 4096)
    found = emissions_of(tagger, ["张三在北京", "工作7年北"], [1, 1])
    torch.testing.assert_close(scored.emissions, torch.stack(found))


def test_the_window_is_filled_and_never_exceeded(make_tagger: Make) -> None:
    tagger = make_tagger(max_positions=14)
    tagger.context = 1000
    capacity = tagger.layout.capacity
    sentences = ["张三在北京", "工作7年", "北" * (capacity - 1), "京" * capacity, "三" * (capacity + 1), "作"]
    read = list(tagger.reader().read(sentences, [1] * len(sentences)))
    for each in read:
        pieces = len(each.example.encoded.ids)
        together = len(each.example.before) + pieces + len(each.example.after)
        assert collate([each.example], tagger.layout).input_ids.shape[1] <= tagger.layout.max_positions
        if pieces < capacity:
            assert together == capacity
            assert len(each.example.windows) == 1
        else:
            assert (list(each.example.before), list(each.example.after)) == ([], [])
    assert len(read[4].example.windows) == 2
    found = emissions_of(tagger, sentences, [1] * len(sentences))
    assert [len(each) for each in found] == [len(each) for each in sentences]
    text = "".join(sentences)
    expected = by_hand(tagger, "张三在北京"[-4:], sentences[1], text[9 : 9 + capacity - 8])
    torch.testing.assert_close(found[1], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("unit", ["char", "word"])
def test_together_and_alone_give_the_same(make_tagger: Make, unit: str) -> None:
    tagger = make_tagger(unit)
    tagger.context = 9
    together = list(tagger.annotate_documents(DOCUMENTS, batch_tokens=500))
    small = list(tagger.annotate_documents(iter(map(iter, DOCUMENTS)), batch_tokens=1))
    assert [len(document) for document in together] == [4, 1, 0, 3]
    for document, one, other in zip(DOCUMENTS, together, small, strict=True):
        assert [annotation.text for annotation in one] == document
        for left, right in zip(one, other, strict=True):
            assert (left.tags, left.offsets) == (right.tags, right.offsets)
            for entity in left.entities:
                assert left.text[entity.start : entity.end] == entity.text
    entities = list(tagger.tag_documents(DOCUMENTS))
    assert entities[1][0] == together[1][0].entities
    units = [[list(annotation.units) for annotation in document] for document in together]
    again = list(tagger.annotate_documents(units))
    assert [[a.tags for a in document] for document in again] == [[a.tags for a in d] for d in together]


def test_documents_are_answered_as_they_come(make_tagger: Make) -> None:
    tagger = make_tagger()
    tagger.context = 5
    read = []

    def endless() -> Any:
        while True:
            read.append(len(read))
            yield ["北京", "张三"]

    answers = tagger.annotate_documents(endless())
    assert len(next(answers)) == 2
    assert len(read) <= 512  # no more than is encoded together


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("北京", "several documents are expected, got a str"),
        (["北京"], r"document 0: several sentences are expected, got a str; give a list of its sentences"),
        ([["北京"], ["京", None]], "document 1: sentence 1 is None instead of a str or a list of units"),
        ([[["北", 1]]], "document 0: sentence 0 is a list instead of a str or a list of units, each a str"),
    ],
)
def test_what_is_no_document_is_refused(make_tagger: Make, given: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        list(make_tagger().tag_documents(given))


def test_numbers_that_do_not_fit_are_refused(make_tagger: Make) -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(make_tagger().tag_units([["北"], ["京"]], documents=[1]))
    with pytest.raises(ValueError, match=r"context must be 0 \(none\) or a number of pieces, got -1"):
        make_tagger().context = -1


def test_the_context_is_saved(make_tagger: Make, tmp_path: Path) -> None:
    tagger = make_tagger()
    tagger.save_pretrained(tmp_path / "without")
    assert '"context"' not in (tmp_path / "without" / "config.json").read_text("utf-8")
    tagger.context = 7
    tagger.save_pretrained(tmp_path / "with")
    again = Tagger.from_pretrained(tmp_path / "with")
    assert again.context == 7
    answers = [
        list(each.tag_units([["北", "京"], ["张", "三"]], documents=[1, 1])) for each in (tagger, again)
    ]
    assert answers[0] == answers[1]
    config = tmp_path / "with" / "config.json"
    config.write_text(config.read_text("utf-8").replace('"context": 7', '"context": -7'), encoding="utf-8")
    with pytest.raises(ConfigError, match="context must be a number of pieces from 0 up, got -7"):
        Tagger.from_pretrained(tmp_path / "with")
