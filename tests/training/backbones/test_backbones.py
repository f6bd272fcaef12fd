"""A run of each kind of backbone on 200 sentences of Resume: loss falls, weights move, it reloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from types_table import write_checkpoint

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.encoders import open_encoder
from pybert_crf.text.corpora import read_corpus


class Kind(NamedTuple):
    """A type, how it attends, and what is said of it."""

    name: str
    attention: str | None
    told: str


KINDS = {
    "encoder, own table": Kind("bert", None, "attends both ways"),
    "encoder of transformers": Kind("camembert", None, "of transformers: attends both ways"),
    "decoder both ways, own table": Kind("gpt2", "both", "a decoder that attends both ways here"),
    "decoder both ways": Kind("qwen3", None, "of transformers: a decoder that attends both ways here"),
    "causal decoder": Kind("llama", "causal", "of transformers: causal, as it was trained"),
    "encoder-decoder, own table": Kind("t5", None, "attends both ways; its decoder is left out"),
    "encoder-decoder": Kind("bart", None, "of transformers: attends both ways; its decoder is left out"),
}

SMALL = ("camembert", "t5", "bart")
"""Their unigram vocabularies hold the characters of some sentences only; the others are unknown."""


@pytest.fixture(scope="module")
def resume(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """200 sentences to learn from and 40 to judge by; skips by name where the corpus is not here."""
    files, folder = {}, tmp_path_factory.mktemp("resume")
    for name, count in (("train", 200), ("dev", 40)):
        source = request.getfixturevalue("data_dir") / "resume" / f"{name}.char.bmes"
        if not source.is_file():
            pytest.skip(f"{source} is not here")
        blocks = [block for block in source.read_text("utf-8").split("\n\n") if block.strip()][:count]
        (folder / f"{name}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
        files[name] = str(folder / f"{name}.txt")
    return files


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_run(
    kind: str, options: Callable[..., TrainOptions], resume: dict[str, str], tmp_path: Path
) -> None:
    name, attention, told = KINDS[kind]
    sentences = [[*sentence.tokens] for sentence in read_corpus(resume["train"]).sentences]
    write_checkpoint(name, tmp_path / "start", texts=sentences[:8] if name in SMALL else sentences)
    chosen: dict[str, Any] = {"epochs": 3, "learning_rate": 3e-3, "batch_tokens": 1024, "test": (), **resume}
    result = train(options(model=str(tmp_path / "start"), attention=attention, **chosen))
    losses = [row["loss"] for row in result.history]
    assert losses[-1] < 0.8 * losses[0], losses

    tagger = Tagger.from_pretrained(result.out)
    encoder = tagger.model.encoder
    assert told in encoder.description
    before = dict(open_encoder(tmp_path / "start").named_parameters())
    moved = {each: not value.equal(before[each]) for each, value in encoder.named_parameters()}
    assert moved == {each: value.requires_grad for each, value in encoder.named_parameters()}

    tokens = [sentence.tokens for sentence in read_corpus(resume["dev"]).sentences]
    answers = list(tagger.tag_units(tokens))
    tagger.save_pretrained(tmp_path / "again")
    assert list(Tagger.from_pretrained(tmp_path / "again").tag_units(tokens)) == answers
