"""The transformer: padding has no influence, wrong inputs are named, autocast and half precision work."""

from __future__ import annotations

import re

import pytest
import torch
from encoder_cases import PAD, batch_for, drop, each_family, kept, our_encoder

from pybert_crf.encoders import Encoder


@pytest.mark.parametrize("training", [False, True])
@each_family
def test_padding_is_never_seen(family: str, training: bool) -> None:
    """Ids at padded positions do not change the other positions by a bit, with any dtype of the mask."""
    encoder = our_encoder(family).train(training)
    batch = batch_for(encoder.config)
    places = kept(batch)
    torch.manual_seed(0)
    expected = encoder(**batch)[places]
    input_ids = batch["input_ids"]
    other = torch.where(input_ids == PAD, PAD, 60)  # the padding's id stays: RoBERTa does not count it
    changed = batch | {"input_ids": torch.where(places, input_ids, other), "attention_mask": places}
    torch.manual_seed(0)
    assert torch.equal(encoder(**changed)[places], expected)


@each_family
def test_a_sequence_alone_is_as_in_its_batch(family: str) -> None:
    """Except BigBird, whose short sequences use dense attention."""
    encoder = our_encoder(family)
    if encoder.config.attention.kind == "block_sparse":
        encoder = Encoder(encoder.config.with_fields({"attention.kind": "dense"}))
    encoder.eval()
    batch = batch_for(encoder.config)
    together = encoder(**batch)
    alone = {name: value[1:2, :9] for name, value in batch.items() if name != "attention_mask"}
    torch.testing.assert_close(encoder(**alone)[0], together[1, :9], rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@each_family
def test_all_padding_is_finite(family: str, training: bool) -> None:
    """A row of padding only gives finite values and gradients."""
    encoder = our_encoder(family).train(training)
    batch = batch_for(encoder.config)
    batch["attention_mask"][0] = 0
    hidden = encoder(**batch)
    hidden.sum().backward()
    assert hidden.isfinite().all()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@each_family
def test_empty_inputs(family: str) -> None:
    encoder = our_encoder(family)
    assert encoder(torch.zeros(0, 5, dtype=torch.int64)).shape == (0, 5, encoder.config.hidden_size)
    assert encoder(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, encoder.config.hidden_size)


@each_family
def test_training_is_repeatable_and_drops(family: str) -> None:
    encoder = our_encoder(family)
    encoder = Encoder(drop(encoder.config, 0.1))
    batch = batch_for(encoder.config)
    torch.manual_seed(1)
    first = encoder(**batch)
    assert not torch.equal(encoder(**batch), first)
    torch.manual_seed(1)
    assert torch.equal(encoder(**batch), first)
    encoder.eval()
    assert torch.equal(encoder(**batch), encoder(**batch))


@each_family
def test_autocast(family: str) -> None:
    """bfloat16 by autocast is close to float32, forward and backward; bfloat16 weights train."""
    encoder = our_encoder(family).eval()
    batch = batch_for(encoder.config)
    expected = encoder(**batch)
    with torch.autocast("cpu", torch.bfloat16):
        cast = encoder(**batch)
    cast.float().sum().backward()
    torch.testing.assert_close(cast.float(), expected, rtol=0, atol=0.1)
    assert our_encoder(family).bfloat16()(**batch).isfinite().all()


@each_family
def test_initial_weights(family: str) -> None:
    encoder = our_encoder(family)
    for name, parameter in encoder.state_dict().items():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert 0.015 < float(parameter.std()) < 0.025, name
            assert abs(float(parameter.mean())) < 0.005, name
    assert encoder.embeddings.word.weight[PAD].any() == encoder.config.embeddings.train_padding
    assert encoder.embeddings.word.weight[PAD + 1].any()


IDS = torch.zeros(2, 4, dtype=torch.int64)
WRONG: dict[str, tuple[dict[str, torch.Tensor], type[Exception], str]] = {
    "one axis": ({"input_ids": IDS[0]}, ValueError, "input_ids must be (batch, length) of int64, got (4,)"),
    "floats": ({"input_ids": IDS.float()}, ValueError, "torch.float32"),
    "too long": (
        {"input_ids": torch.zeros(1, 30, dtype=torch.int64)},
        ValueError,
        "sequences of 30 pieces, but the encoder has 29 positions",
    ),
    "id too large": (
        {"input_ids": torch.tensor([[1, 2], [3, 61]])},
        IndexError,
        "input_ids[1, 1] is 61, but must be in 0 .. 60",
    ),
    "negative id": ({"input_ids": IDS - 1}, IndexError, "input_ids[0, 0] is -1"),
    "segment": ({"input_ids": IDS, "token_type_ids": IDS + 5}, IndexError, "token_type_ids[0, 0] is 5"),
    "shape of segments": (
        {"input_ids": IDS, "token_type_ids": IDS[:1]},
        ValueError,
        "token_type_ids is (1, 4), but input_ids is (2, 4)",
    ),
    "shape of mask": (
        {"input_ids": IDS, "attention_mask": IDS[:, :3]},
        ValueError,
        "attention_mask is (2, 3), but input_ids is (2, 4)",
    ),
    "additive mask": (
        {"input_ids": IDS, "attention_mask": IDS.float()},
        ValueError,
        "attention_mask must be bool or integers, got torch.float32",
    ),
}


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_named(
    arguments: dict[str, torch.Tensor], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        our_encoder("bert")(**arguments)


def test_ids_without_embeddings_are_refused() -> None:
    with pytest.raises(
        ValueError, match="token_type_ids are given, but the encoder has no embeddings for them"
    ):
        our_encoder("distilbert")(IDS, token_type_ids=IDS)
    for encoder in (
        our_encoder("bert"),
        our_encoder("xlm", use_lang_emb=False),
        our_encoder("xlm", n_langs=1),
    ):
        with pytest.raises(ValueError, match="language_ids are given, but the encoder has no embeddings"):
            encoder(IDS, language_ids=IDS)
    with pytest.raises(IndexError, match=re.escape("language_ids[0, 0] is 4, but must be in 0 .. 3")):
        our_encoder("xlm")(IDS, language_ids=IDS + 4)
    with pytest.raises(ValueError, match="sequences of 30 pieces, but the encoder has 29 positions"):
        our_encoder("roberta")(torch.zeros(1, 30, dtype=torch.int64))
