"""Every family's encoders train: the loss falls, every weight moves, and what is saved predicts the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_cases import each_family, their_config

from pybert_crf import BertCRF, Tagger, TrainOptions, train
from pybert_crf.encoders import Encoder, config_from_json
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

Make = Callable[..., TrainOptions]


@pytest.fixture(scope="module")
def some_corpus(
    request: pytest.FixtureRequest, corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """200 sentences of Resume and 40 to judge by; where it is not here, as much of the made-up corpus."""
    directory = tmp_path_factory.mktemp("sentences")
    for name in ("train", "dev", "test"):
        try:
            path = request.getfixturevalue("data_dir") / "resume" / f"{name}.char.bmes"
            blocks = [block for block in path.read_text("utf-8").split("\n\n") if block.strip()]
            text = "\n\n".join(blocks[: 200 if name == "train" else 40])
        except pytest.skip.Exception:
            text = "\n".join([(corpus / f"{name}.txt").read_text("utf-8")] * 15)
        (directory / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")
    return directory


@each_family
def test_training(family: str, options: Make, some_corpus: Path, tmp_path: Path) -> None:
    corpus = read_corpus(some_corpus / "train.txt")
    tokenizer = UnitTokenizer.build((s.tokens for s in corpus.sentences), "char")
    theirs = their_config(family, vocab_size=tokenizer.vocab_size, pad_token_id=tokenizer.pad_id)
    start = Encoder(config_from_json(theirs.to_dict()))
    start.save_pretrained(tmp_path / "start")
    tokenizer.save(tmp_path / "start")

    corpora = {name: str(some_corpus / f"{name}.txt") for name in ("train", "dev", "test")}
    chosen = options(model=str(tmp_path / "start"), epochs=2, learning_rate=2e-3, batch_tokens=256, **corpora)
    result = train(chosen)
    losses = [row["loss"] for row in result.history]
    assert losses[-1] < 0.8 * losses[0]

    tagger = Tagger.from_pretrained(result.out)
    before = dict(start.named_parameters())
    moved = {name: not value.equal(before[name]) for name, value in tagger.model.encoder.named_parameters()}
    trained = {name: value.requires_grad for name, value in tagger.model.encoder.named_parameters()}
    assert moved == trained
    frozen = {name for name, trains in trained.items() if not trains}
    assert frozen == ({"embeddings.language.weight"} if family == "xlm" else set())

    tagger.save_pretrained(tmp_path / "again")
    again = Tagger.from_pretrained(tmp_path / "again")
    tokens = [sentence.tokens for sentence in read_corpus(some_corpus / "dev.txt").sentences]
    assert list(again.tag_units(tokens)) == list(tagger.tag_units(tokens))
    encoder = Encoder.from_pretrained(
        tmp_path / "again"
    )  # the tagger's directory is a checkpoint of its family
    assert encoder.config == start.config
    assert all(
        torch.equal(a, b)
        for a, b in zip(encoder.parameters(), tagger.model.encoder.parameters(), strict=True)
    )


@each_family
def test_long_texts_are_read_in_windows(family: str) -> None:
    """As long as the encoder can, and no longer: RoBERTa's positions begin after the padding's."""
    tokenizer = UnitTokenizer.build([list("一二三四五六七八九十")], "char", min_count=1)
    theirs = their_config(family, vocab_size=tokenizer.vocab_size, pad_token_id=tokenizer.pad_id)
    encoder = Encoder(config_from_json(theirs.to_dict()))
    tagger = Tagger(BertCRF(encoder, ["O", "B-X", "I-X"], "BIO"), tokenizer, "char")
    lengths: list[int] = []
    forward = encoder.forward

    def spy(input_ids: Any, *rest: Any) -> Any:
        lengths.append(input_ids.shape[1])
        return forward(input_ids, *rest)

    encoder.forward = spy  # type: ignore[method-assign]
    (tagging,) = tagger.tag_units([list("一二三四五六七八九十" * 10)])
    assert len(tagging.tags) == 100
    assert set(lengths) == {encoder.config.max_length}
