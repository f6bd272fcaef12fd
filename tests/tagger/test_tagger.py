"""The tagger: offsets, order, windows, probabilities, files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pybert_crf.annotation.examples import make_example
from pybert_crf.batches import collate
from pybert_crf.encoders import (
    CheckpointError,
    ConfigError,
    Encoder,
    EncoderConfig,
    read_tensors,
    write_tensors,
)
from pybert_crf.model import BertCRF
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.schemes import illegal_positions
from pybert_crf.text.tokenizer import UnitTokenizer

Make = Callable[..., Tagger]

HOSTILE = [
    "",
    " ",
    "\n\t ",
    "张三在北京",
    "7.7公里",
    "a\u200eb张\u200e三",
    "👨‍👩‍👧‍👦在🇨🇳北京",
    "ＡＢＣ１２３",
    "e\u0301te\u0301",
    "\ufeff北京",
    "北\u2028京\u0085张\u3000三",
    "\x00\x01张",
    "ภาษาไทย العربية עברית",
    "W" * 300,
    "\U0010ffff\ue000",
]


@pytest.mark.parametrize("unit", ["char", "word"])
def test_offsets_always_fit_hostile_texts(make_tagger: Make, unit: str) -> None:
    tagger = make_tagger(unit)
    found = 0
    for text, annotation in zip(HOSTILE, tagger.annotate(HOSTILE), strict=True):
        assert annotation.text == text
        assert len(annotation.tags) == len(annotation.units)
        assert "".join(annotation.units) == "".join(text.split())
        for entity in annotation.entities:
            assert text[entity.start : entity.end] == entity.text
            assert 0.0 <= entity.score <= 1.0
            found += 1
    assert found > 10


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), max_size=4), st.sampled_from(["char", "word"]))
def test_offsets_always_fit_any_text(make_tagger: Make, texts: list[str], unit: str) -> None:
    tagger = make_tagger(unit)
    for text, entities in zip(texts, tagger.tag(texts), strict=True):
        end = 0
        for entity in entities:
            assert end <= entity.start < entity.end <= len(text)
            assert text[entity.start : entity.end] == entity.text
            end = entity.end


def test_batching_changes_no_answer_and_keeps_the_order(make_tagger: Make) -> None:
    tagger = make_tagger()
    texts = [("北京张三李四" * 9)[: 1 + (i * 7) % 50] for i in range(40)]
    alone = [tagger(text) for text in texts]
    for together in (tagger.tag(texts), tagger.tag(iter(texts), batch_tokens=37)):
        for one, other in zip(alone, together, strict=True):
            assert [(e.start, e.end, e.label) for e in one] == [(e.start, e.end, e.label) for e in other]
            assert [e.score for e in one] == pytest.approx([e.score for e in other], abs=1e-4)


def test_texts_are_answered_as_they_come(make_tagger: Make) -> None:
    read = []

    def endless():  # type: ignore[no-untyped-def]
        for i in itertools.count():
            read.append(i)
            yield "北京"

    answers = make_tagger().annotate(endless(), look_ahead=3)
    next(answers)
    assert len(read) == 3


def test_a_long_text_is_covered_whole_and_decoded_in_one_pass(
    make_tagger: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger = make_tagger(max_positions=30)
    passes = []
    viterbi = tagger.model.crf.viterbi
    monkeypatch.setattr(
        tagger.model.crf,
        "viterbi",
        lambda emissions, mask: passes.append(emissions.shape) or viterbi(emissions, mask),
    )
    text = "张三在北京工作。" * 250
    (annotation,) = tagger.annotate([text])
    assert len(annotation.tags) == 2000
    assert [shape[:2] for shape in passes] == [(1, 2000)]


def test_windows_change_nothing_far_from_their_ends(make_tagger: Make) -> None:
    """Each unit's emission is that of the window where it has most context."""
    tagger = make_tagger(max_positions=30)
    encoded = tagger.tokenizer.encode(list("张三在北京工作。" * 12))
    batch = collate([make_example(encoded, tagger.layout)], tagger.layout)
    with torch.no_grad():
        emissions = tagger.model(batch)
        hidden = tagger.model.encoder(batch.input_ids, batch.attention_mask)
    window, position = divmod(int(batch.first[0, 50]), batch.input_ids.shape[1])
    assert min(position, batch.input_ids.shape[1] - 1 - position) >= 3
    torch.testing.assert_close(emissions[0, 50], tagger.model.linear(hidden[window, position]))


def test_the_score_is_the_probability_of_exactly_this_entity(make_tagger: Make) -> None:
    """Against all tag sequences of a short text, enumerated."""
    tagger = make_tagger()
    text = "张三在北京"
    batch = collate([make_example(tagger.tokenizer.encode(list(text)), tagger.layout)], tagger.layout)
    with torch.no_grad():
        emissions = tagger.model(batch)
        paths = list(itertools.product(range(5), repeat=len(text)))
        scores = tagger.model.crf.score(emissions.expand(len(paths), -1, -1).double(), torch.tensor(paths))
    probability = scores.softmax(0)
    labels = tagger.model.labels
    (annotation,) = tagger.annotate([text])
    assert annotation.entities
    for entity in annotation.entities:
        inside = [labels.index(tag) for tag in annotation.tags[entity.start : entity.end]]
        following = labels.index(f"I-{entity.label}")
        expected = sum(
            float(p)
            for path, p in zip(paths, probability, strict=True)
            if list(path[entity.start : entity.end]) == inside
            and (entity.end == len(text) or path[entity.end] != following)
        )
        assert entity.score == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("unit", ["char", "word"])
def test_units_that_are_given_are_kept(make_tagger: Make, unit: str) -> None:
    tokens = ["New York", "7.7", "\u200e", "北京"]
    (annotation,) = make_tagger(unit).annotate_units([tokens])
    assert annotation.units == tokens
    assert annotation.text == (" " if unit == "word" else "").join(tokens)


def test_saved_and_loaded_it_says_the_same(make_tagger: Make, tmp_path: Path) -> None:
    tagger = make_tagger()
    tagger.save_pretrained(tmp_path)
    again = Tagger.from_pretrained(tmp_path)
    assert (again.scheme, again.unit, again.model.labels) == ("BIO", "char", tagger.model.labels)
    for name, tensor in tagger.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], tensor, rtol=0, atol=0)
    text = "张三在北京工作7.7年。"
    assert again(text) == tagger(text)


def test_a_saved_tagger_knows_whether_a_space_stands_before_a_unit(make_tagger: Make, tmp_path: Path) -> None:
    """To a byte-level vocabulary it makes a difference; in transformers it opens to the same ids."""
    transformers = pytest.importorskip("transformers")
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    trained.train_from_iterator(["张三在北京工作 in Peking"] * 9, trainer)
    trained.model.save(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "RobertaTokenizer"}')
    labels = ["O", "B-LOC", "I-LOC"]
    expected = {"char": ["å¼ł", "P"], "word": ["Ġå¼ł", "Ġ", "P"]}
    for unit, pieces in expected.items():
        tokenizer = UnitTokenizer.from_directory(tmp_path, unit)
        config = EncoderConfig(tokenizer.vocab_size, 12, 2, 3, 20, max_positions=64)
        Tagger(BertCRF(Encoder(config), labels, "BIO"), tokenizer, unit).save_pretrained(tmp_path / unit)
        again = Tagger.from_pretrained(tmp_path / unit)
        ids = again.tokenizer.encode(["张", "P"]).ids
        assert again.unit == unit
        assert [trained.id_to_token(index) for index in ids] == pieces
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / unit)
        assert theirs(["张", "P"], is_split_into_words=True)["input_ids"] == [0, *ids, 2]


def test_the_encoder_of_a_saved_tagger_opens_in_transformers(make_tagger: Make, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tagger = make_tagger()
    tagger.save_pretrained(tmp_path)
    theirs, info = transformers.BertModel.from_pretrained(
        tmp_path, add_pooling_layer=False, output_loading_info=True
    )
    assert not info["missing_keys"]
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path)("张三在北京", return_tensors="pt")
    ours = tagger.model.encoder(tokens["input_ids"])
    torch.testing.assert_close(theirs.eval()(**tokens).last_hidden_state, ours, rtol=0, atol=1e-5)


def test_a_missing_or_misshapen_tensor_is_named(make_tagger: Make, tmp_path: Path) -> None:
    make_tagger().save_pretrained(tmp_path)
    tensors = read_tensors(tmp_path)
    del tensors["crf.transitions"]
    tensors["classifier.bias"] = torch.zeros(3)
    write_tensors(tmp_path, tensors)
    with pytest.raises(
        CheckpointError, match=r"classifier.bias is \(3,\) instead of \(5,\); crf.transitions is missing"
    ):
        Tagger.from_pretrained(tmp_path)


def test_an_encoder_is_not_mistaken_for_a_tagger(make_tagger: Make, tmp_path: Path) -> None:
    make_tagger().model.encoder.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="holds an encoder, not a saved tagger"):
        Tagger.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Tagger.from_pretrained(tmp_path / "nowhere")


def test_the_configuration_says_what_a_tag_is(make_tagger: Make, tmp_path: Path) -> None:
    make_tagger().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"]["1"] == "B-LOC"
    assert config["label2id"]["B-LOC"] == 1
    assert config["model_type"] == "bert"


def test_wrong_batch_sizes_are_refused(make_tagger: Make) -> None:
    with pytest.raises(ValueError, match="batch_tokens"):
        next(make_tagger().tag(["北"], batch_tokens=0))


@pytest.mark.parametrize(
    ("scheme", "labels"),
    [
        ("BIO", ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"]),
        ("IOB1", ["O", "B-PER", "I-LOC", "I-PER"]),
        ("BMES", ["O", "B-PER", "E-PER", "M-PER", "S-PER", "B-LOC", "E-LOC"]),
    ],
)
def test_only_legal_tags_come_out(make_tagger: Make, scheme: str, labels: list[str]) -> None:
    tagger = make_tagger(labels=labels, scheme=scheme)
    found = 0
    for annotation in tagger.annotate(["张三在北京工作7.7年。" * 5, "北", "李四张三"] * 3):
        assert illegal_positions(annotation.tags, scheme) == []
        found += len(annotation.entities)
    assert found


def test_labels_without_a_scheme_may_follow_each_other_freely(make_tagger: Make) -> None:
    model = BertCRF(make_tagger().model.encoder, ["NN", "VB"])
    assert model.crf._allowed_transitions is None
    tagger = Tagger(model, make_tagger().tokenizer, "char")
    found = tagger("北京 a")
    assert [(each.start, each.end, each.text) for each in found] == [(0, 1, "北"), (1, 2, "京"), (3, 4, "a")]
    assert {each.label for each in found} <= {"NN", "VB"}
    assert all(0.0 < each.score <= 1.0 for each in found)


class Table(list[str]):
    """As a data frame: iterates over the names of its columns."""

    columns = ("text",)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda tagger: tagger(["北京"]), r"takes one str, got a list; for several texts call tagger\.tag"),
        (lambda tagger: tagger(None), r"takes one str, got None; for several"),
        (lambda tagger: tagger(float("nan")), r"takes one str, got nan \(a float\)"),
        (lambda tagger: tagger.tag("北京"), r"got a str; for one text call tagger\(text\)"),
        (lambda tagger: tagger.tag(None), r"several texts are expected, got None; for one text"),
        (lambda tagger: tagger.tag(5), r"several texts are expected, got 5 \(an int\)"),
        (lambda tagger: tagger.tag({"text": ["北京"]}), r"got a dict; give one column of it"),
        (lambda tagger: tagger.tag(Table(["text"])), r"got a Table; give one column of it"),
        (
            lambda tagger: list(tagger.tag([["北", "京"]])),
            r"row 0 of the texts is a list .*tagger\.tag_units",
        ),
        (
            lambda tagger: list(tagger.tag(["北京", float("nan")])),
            r"row 1 of the texts is nan \(a float\).*fill",
        ),
        (lambda tagger: list(tagger.tag(iter([b"x"]))), r"row 0 of the texts is a bytes"),
        (lambda tagger: list(tagger.tag_units(["北京"])), r"row 0 is a str instead of a list of units"),
        (lambda tagger: list(tagger.tag_units(None)), r"lists of units are expected, got None; for uncut"),
        (
            lambda tagger: list(tagger.annotate_units([["北"], ["京", None]])),
            r"row 1: unit 1 is None instead",
        ),
    ],
)
def test_what_is_no_text_is_answered_with_the_right_call(
    make_tagger: Make, call: Callable[[Tagger], object], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        call(make_tagger())


def test_a_quantised_tagger_is_not_saved(make_tagger: Make, tmp_path: Path) -> None:
    tagger = make_tagger().quantise()
    assert tagger("张三在北京工作")
    with pytest.raises(ValueError, match="a quantised tagger cannot be saved"):
        tagger.save_pretrained(tmp_path)
