"""Training goes on with a saved tagger, or a token classifier of transformers, and all that it knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.encoders import Encoder
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tagging.schemes import convert
from pybert_crf.text.tokenizer import UnitTokenizer

Make = Callable[..., TrainOptions]
STILL = {"epochs": 1, "learning_rate": 1e-9, "head_learning_rate": 1e-9}


@pytest.fixture
def trained(options: Make) -> str:
    """A saved tagger that finds nearly all entities."""
    result = train(options(epochs=12, learning_rate=2e-3, patience=0))
    assert result.dev.f1 > 0.9
    return result.out


def rewrite(path: str, target: Path, change: Callable[[list[str]], list[str]]) -> str:
    """Write the column file `path` to `target`, each sentence's tags changed."""
    blocks = []
    for tokens, tags, *_ in read_corpus(path).sentences:
        blocks.append("".join(f"{token} {tag}\n" for token, tag in zip(tokens, change(tags), strict=True)))
    target.write_text("\n".join(blocks), encoding="utf-8")
    return str(target)


def test_a_saved_tagger_goes_on_where_it_was(options: Make, trained: str, tmp_path: Path) -> None:
    events: list[Any] = []
    second = train(options(model=trained, out=str(tmp_path / "second"), **STILL), events.append)
    assert second.dev.f1 > 0.9
    assert events[0].notes[-1] == f"training goes on with the head of {trained}: 4 tags are kept"
    before, after = (Tagger.from_pretrained(out).model.state_dict() for out in (trained, second.out))
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-6)


def test_new_labels_are_added_and_dropped_ones_named(options: Make, trained: str, tmp_path: Path) -> None:
    """LOC is gone and ORG is new; what was learnt of PER stays."""
    chosen = options()
    parts = {
        name: rewrite(
            chosen.files(name)[0], tmp_path / name, lambda tags: [tag.replace("LOC", "ORG") for tag in tags]
        )
        for name in ("train", "dev", "test")
    }
    events: list[Any] = []
    second = train(options(model=trained, out=str(tmp_path / "second"), **STILL, **parts), events.append)
    told = f"training goes on with the head of {trained}: 3 tags are kept; new: B-ORG; dropped, since train"
    assert events[0].notes[-1] == f"{told} never shows their types: B-LOC"
    before, after = (Tagger.from_pretrained(out).model for out in (trained, second.out))
    assert after.labels == ("O", "B-PER", "I-PER", "B-ORG")
    old, new = ([model.labels.index(label) for label in after.labels[:3]] for model in (before, after))
    for name in ("linear.weight", "linear.bias", "crf.start_transitions", "crf.end_transitions"):
        ours, theirs = after.state_dict()[name][new], before.state_dict()[name][old]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    mine, theirs = after.crf.transitions[new][:, new], before.crf.transitions[old][:, old]
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def test_data_in_another_scheme_are_converted_to_the_taggers(
    options: Make, trained: str, tmp_path: Path
) -> None:
    parts = {
        name: rewrite(options().files(name)[0], tmp_path / name, lambda tags: convert(tags, "BIO", "BIOES"))
        for name in ("train", "dev", "test")
    }
    second = train(options(model=trained, out=str(tmp_path / "second"), **STILL, **parts))
    assert second.dev.f1 > 0.9
    assert Tagger.from_pretrained(second.out).scheme == "BIO"


def test_a_tagger_of_another_unit_is_refused(options: Make, trained: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tags each char, but train is read by word"):
        train(options(model=trained, unit="word", out=str(tmp_path / "second")))


@pytest.mark.parametrize("names", [["B-PER", "O", "I-PER"], ["LABEL_0", "LABEL_1", "O"]])
def test_a_token_classifier_of_transformers_goes_on(options: Make, tmp_path: Path, names: list[str]) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = UnitTokenizer.build([list("张王李赵陈甲乙丙丁在京沪津渝冀。的")], "char", min_count=1)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    labels = dict(enumerate(names))
    config = transformers.BertConfig(vocab_size=tokenizer.vocab_size, **size, id2label=labels)
    theirs = transformers.BertForTokenClassification(config)
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer.save(tmp_path / "theirs")
    events: list[Any] = []
    result = train(options(model=str(tmp_path / "theirs"), **STILL), events.append)
    ours = Tagger.from_pretrained(result.out).model
    assert ours.labels[0] == "O"
    assert sorted(ours.labels) == ["B-LOC", "B-PER", "I-PER", "O"]
    for label in set(names) & set(ours.labels):
        mine, their = ours.labels.index(label), names.index(label)
        torch.testing.assert_close(
            ours.linear.weight[mine], theirs.classifier.weight[their], rtol=0, atol=1e-6
        )
    assert ("dropped, since train never shows their types: LABEL_0, LABEL_1" in events[0].notes[-1]) == (
        "LABEL_0" in names
    )
    assert isinstance(ours.encoder, Encoder)
