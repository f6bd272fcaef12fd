"""Training with document context: what only neighbours tell is learnt, and what is off is said."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.batches import collate
from pybert_crf.evaluation import evaluate_file
from pybert_crf.text.corpora import CorpusError, read_corpus
from pybert_crf.training.corpora import encode_corpus, hash_corpora, read_corpora
from pybert_crf.training.events import TaggingStarted
from pybert_crf.training.loop.checkpoints import check_options

Make = Callable[..., TrainOptions]
BORDER = "-DOCSTART- O\n\n"


def documents(count: int, seed: int) -> str:
    """Column text whose documents have two sentences: the first decides what the name in the second is."""
    draw = random.Random(seed)
    blocks = []
    for _ in range(count):
        cue, label = draw.choice([("红", "PER"), ("蓝", "LOC")])
        second = f"{draw.choice('在见问')} O\n{draw.choice('张王李赵陈')} B-{label}\n。 O\n"
        blocks.append(f"{BORDER}{cue} O\n。 O\n\n{second}\n")
    return "".join(blocks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("documents")
    for name, count, seed in (("train", 100, 0), ("dev", 40, 1)):
        (directory / f"{name}.txt").write_text(documents(count, seed), encoding="utf-8")
        plain = documents(count, seed).replace(BORDER, "")
        (directory / f"{name}-plain.txt").write_text(plain, encoding="utf-8")
    return directory


def of(folder: Path, out: Path, **given: Any) -> TrainOptions:
    fields: dict[str, Any] = {
        "train": str(folder / "train.txt"),
        "dev": str(folder / "dev.txt"),
        "out": str(out),
        "model": "tiny",
        "batch_tokens": 128,
        "min_count": 1,
        "learning_rate": 1e-3,
        "seed": 1,
    }
    return TrainOptions(**(fields | given))


def started(options: TrainOptions) -> TaggingStarted:
    """What a run of one epoch tells first."""
    events: list[object] = []
    train(replace(options, epochs=1), events.append)
    return next(event for event in events if isinstance(event, TaggingStarted))


@pytest.fixture(scope="module")
def trained(folder: Path) -> Tagger:
    train(of(folder, folder / "out", epochs=6, context=8))
    return Tagger.from_pretrained(folder / "out")


def test_what_only_a_neighbour_tells_is_learnt(folder: Path, trained: Tagger) -> None:
    assert trained.context == 8
    assert evaluate_file(trained, folder / "dev.txt").f1 == 1.0
    said: list[str] = []
    alone = evaluate_file(trained, folder / "dev-plain.txt", say=said.append)
    assert alone.f1 < 0.7  # a coin would do as well
    assert any("no borders of documents" in note and "see --documents" in note for note in said)

    assert "- Reads up to 8 pieces of a document's" in (folder / "out" / "README.md").read_text("utf-8")
    (found,) = trained.tag_documents([["红。", "在张。"]])
    (other,) = trained.tag_documents([["蓝。", "在张。"]])
    assert [[entity.label for entity in sentence] for sentence in found] == [[], ["PER"]]
    assert [[entity.label for entity in sentence] for sentence in other] == [[], ["LOC"]]


def test_without_context_it_cannot_be_learnt(folder: Path, tmp_path: Path) -> None:
    done = train(of(folder, tmp_path / "out", epochs=6))
    assert done.dev.f1 < 0.7
    assert Tagger.from_pretrained(tmp_path / "out").context == 0


def test_the_order_of_training_changes_no_context(folder: Path, trained: Tagger) -> None:
    corpus = read_corpus(folder / "train.txt")
    examples = encode_corpus(corpus, trained)
    order = list(range(len(examples)))
    random.Random(5).shuffle(order)
    batch = collate([examples[row] for row in order[:30]], trained.layout)
    for ids, attended, row in zip(batch.input_ids, batch.attention_mask, order, strict=False):
        begin = row - row % 2  # each document has two sentences
        text = corpus.sentences[begin].tokens + corpus.sentences[begin + 1].tokens
        expected = [trained.tokenizer.cls_id, *trained.tokenizer.encode(text).ids, trained.tokenizer.sep_id]
        assert ids[attended].tolist() == expected
    assert bool(batch.attention_mask.all())  # no padding, where sentences of two lengths had some


def test_what_is_off_is_said(folder: Path, tmp_path: Path) -> None:
    plain = str(folder / "train-plain.txt")
    notes = started(of(folder, tmp_path / "a", train=plain, context=8)).notes
    assert "train: no borders of documents, so that document context is off: see --documents" in notes
    assert Tagger.from_pretrained(tmp_path / "a").context == 0
    notes = started(of(folder, tmp_path / "b", dev=str(folder / "dev-plain.txt"), context=8)).notes
    assert any(note.startswith("train: up to 8 pieces of a document's neighbouring") for note in notes)
    assert "dev: no borders of documents, so that each sentence is read alone" in notes
    assert not any("document" in note for note in started(of(folder, tmp_path / "c")).notes)
    notes = started(of(folder, tmp_path / "d", train=plain, context=8, documents="file")).notes
    assert any(note.startswith("train: up to 8 pieces") for note in notes)


def test_training_goes_on_with_the_context_of_a_tagger(folder: Path, trained: Tagger, tmp_path: Path) -> None:
    model = str(folder / "out")
    started(of(folder, tmp_path / "on", model=model))
    assert Tagger.from_pretrained(tmp_path / "on").context == trained.context
    notes = started(of(folder, tmp_path / "off", model=model, documents="none")).notes
    assert any("document context is off" in note for note in notes)
    started(of(folder, tmp_path / "other", model=model, context=0))
    assert Tagger.from_pretrained(tmp_path / "other").context == 0


def test_a_resumed_run_knows_the_context(folder: Path, trained: Tagger, tmp_path: Path) -> None:
    options = of(folder, tmp_path, context=8)
    with pytest.raises(ValueError, match="context was 8, is 9"):
        check_options(options.to_dict(), replace(options, context=9))
    corpora = read_corpora(options)
    examples = encode_corpus(corpora.train, trained)
    hashed = hash_corpora(corpora, examples, 8)
    one = [sentence._replace(document=1) for sentence in corpora.dev.sentences]
    moved = replace(corpora, dev=replace(corpora.dev, sentences=one))
    assert hash_corpora(moved, examples, 8) != hashed
    assert hash_corpora(moved, examples) == hash_corpora(corpora, examples)  # without context it is the same
    alone = [example._replace(before=[], after=[]) for example in examples]
    assert hash_corpora(corpora, alone, 8) != hashed


def test_dev_is_not_drawn_out_of_documents(folder: Path, tmp_path: Path) -> None:
    given = {"dev": (), "dev_share": 0.2, "context": 8}
    with pytest.raises(CorpusError, match=r"drawn by sentence from fewer than 3 documents.*--context 0"):
        train(of(folder, tmp_path / "a", **given, documents="file"))
    assert started(of(folder, tmp_path / "b", **given)).sentences == {"train": 160, "dev": 40}
