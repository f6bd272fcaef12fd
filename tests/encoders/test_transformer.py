"""What the transformer promises by itself: padding is never seen, wrong input is named, it compiles."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from pybert_crf.encoders import Encoder, EncoderConfig

CONFIG = EncoderConfig(61, 33, 2, 3, 47, max_positions=29, num_segments=5)
Batch = dict[str, torch.Tensor]


def _encoder(**changes: Any) -> Encoder:
    torch.manual_seed(3)
    return Encoder(EncoderConfig(**{**CONFIG.__dict__, **changes}))


@pytest.mark.parametrize("training", [False, True])
def test_padding_is_never_seen(training: bool, batch: Batch) -> None:
    """Other ids at padded positions change nothing elsewhere, not by one bit; mask dtypes mean the same."""
    encoder = _encoder().train(training)
    kept = batch["attention_mask"].bool()
    torch.manual_seed(0)
    expected = encoder(**batch)[kept]
    changed = batch | {"input_ids": torch.where(kept, batch["input_ids"], 60), "attention_mask": kept}
    torch.manual_seed(0)
    assert torch.equal(encoder(**changed)[kept], expected)


def test_a_sequence_alone_is_as_in_its_batch(batch: Batch) -> None:
    encoder = _encoder().eval()
    together = encoder(**batch)
    length = 9  # of the second one, without its padding
    alone = encoder(batch["input_ids"][1:2, :length], token_type_ids=batch["token_type_ids"][1:2, :length])
    torch.testing.assert_close(alone[0], together[1, :length], rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_all_padding_is_finite(training: bool, batch: Batch) -> None:
    """A row without a single piece gives numbers, and gradients, that are finite."""
    encoder = _encoder().train(training)
    batch["attention_mask"][0] = 0
    hidden = encoder(**batch)
    hidden.sum().backward()
    assert hidden.isfinite().all()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_empty_inputs() -> None:
    encoder = _encoder()
    assert encoder(torch.zeros(0, 5, dtype=torch.int64)).shape == (0, 5, 33)
    assert encoder(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, 33)


def test_training_is_repeatable_and_drops(batch: Batch) -> None:
    encoder = _encoder()
    torch.manual_seed(1)
    first = encoder(**batch)
    assert not torch.equal(encoder(**batch), first)
    torch.manual_seed(1)
    assert torch.equal(encoder(**batch), first)
    encoder.eval()
    assert torch.equal(encoder(**batch), encoder(**batch))


def test_half_precision(batch: Batch) -> None:
    """bfloat16 weights, and autocast from float32, stay near float32 in both modes."""
    encoder = _encoder(hidden_dropout=0.0, attention_dropout=0.0)
    expected = encoder(**batch)
    with torch.autocast("cpu", torch.bfloat16):
        cast = encoder(**batch)
    cast.float().sum().backward()
    torch.testing.assert_close(cast.float(), expected, rtol=0, atol=0.1)
    half = encoder.bfloat16()(**batch)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0, atol=0.1)
    assert _encoder().bfloat16().train()(**batch).isfinite().all()


def test_initial_weights() -> None:
    encoder = Encoder.from_size("tiny", vocab_size=5000, pad_id=3)
    for name, parameter in encoder.state_dict().items():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert 0.015 < float(parameter.std()) < 0.025, name
            assert abs(float(parameter.mean())) < 0.005, name
    assert not encoder.embeddings.word.weight[3].any()
    assert encoder.embeddings.word.weight[2].any()


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
        _encoder()(**arguments)


def test_one_graph(batch: Batch) -> None:
    """torch.compile takes the whole forward as one graph (traced only, not compiled, to be quick)."""
    encoder = _encoder().eval()
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(**batch), encoder(**batch), rtol=0, atol=1e-5)


def test_one_graph_of_training(batch: Batch) -> None:
    encoder = _encoder()
    hidden = torch.compile(encoder, fullgraph=True, backend="aot_eager")(**batch)
    hidden.sum().backward()
    assert hidden.isfinite().all()
    assert encoder.embeddings.segment.weight.grad is not None
