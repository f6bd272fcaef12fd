"""Packed rows as on a GPU: a stand-in checks what torch's kernel is given, and computes it on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from encoder_cases import VOCAB, our_encoder
from torch import Tensor

from pybert_crf.encoders import Encoder
from pybert_crf.encoders.attention import rotary, varlen
from pybert_crf.encoders.attention.dense import attend
from pybert_crf.encoders.attention.heads import Angles

WINDOW, LENGTH = 8, 24  # pieces that a piece sees, and positions
LENGTHS = {
    "of one piece": (1, 1, 1),
    "about the window's size": (WINDOW // 2, WINDOW // 2 + 1, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + 2),
    "all equal": (LENGTH, LENGTH),
    "equal with padding": (13, 13, 13),
    "ragged": (LENGTH, 1, 17, 9, 2, 0, 23),
    "nothing": (0, 0),
}


class StandIn:
    """``varlen_attn`` row by row, with checks of all its arguments; counts its calls."""

    def __init__(self) -> None:
        self.windows: list[tuple[int, int]] = []

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cu_seq_q: Tensor,
        cu_seq_k: Tensor,
        max_q: int,
        max_k: int,
        *,
        window_size: tuple[int, int],
    ) -> Tensor:
        pieces, _, _ = query.shape
        assert query.shape == key.shape == value.shape
        assert query.dtype == key.dtype == value.dtype
        assert query.stride(2) == key.stride(2) == value.stride(2) == 1
        assert cu_seq_q is cu_seq_k
        assert cu_seq_q.dtype == torch.int32
        ends = cu_seq_q.tolist()
        assert (ends[0], ends[-1]) == (0, pieces)
        lengths = [end - start for start, end in pairwise(ends)]
        assert min(lengths) > 0
        assert max_q == max_k == max(lengths)
        left, right = window_size
        assert left == right
        assert left == -1 or 0 <= left < max_q - 1
        self.windows.append(window_size)
        attended = []
        for parts in zip(*(x.split(lengths) for x in (query, key, value)), strict=True):
            columns = torch.arange(parts[0].shape[0])
            seen = (columns[:, None] - columns).abs() <= (left if left >= 0 else pieces)
            attended.append(attend(*(x.transpose(0, 1)[None] for x in parts), seen[None, None], 0.0)[0])
        return torch.cat(attended, 1).transpose(0, 1)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(rotary, "kernel_for", lambda *_: made)
    return made


def _encoder() -> Encoder:
    encoder = our_encoder("modernbert", local_attention=WINDOW, attention_dropout=0.0, embedding_dropout=0.0)
    return encoder.double()


def _batch(lengths: tuple[int, ...], left: bool) -> dict[str, Tensor]:
    columns, ends = torch.arange(LENGTH), torch.tensor(lengths)[:, None]
    mask = columns >= LENGTH - ends if left else columns < ends
    ids = torch.randint(8, VOCAB, mask.shape, generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "attention_mask": mask}


def _padded(encoder: Encoder, call: Callable[[], Any]) -> Any:
    """Return what ``call`` does where masks hide the padding."""
    context = encoder.context
    context.forward = context.masked
    try:
        return call()
    finally:
        del context.forward


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_packed_rows_equal_padded_ones(lengths: tuple[int, ...], left: bool, stand_in: StandIn) -> None:
    """All states of the pieces, and all gradients."""
    encoder, batch = _encoder(), _batch(lengths, left)
    mask = batch["attention_mask"]
    kept = mask if mask.any() else torch.ones_like(mask)
    weights = torch.randn(kept.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def states_and_gradients() -> tuple[list[Tensor], dict[str, Tensor]]:
        encoder.zero_grad()
        states = [state[kept] for state in encoder.hidden_states(**batch)]
        (states[-1] * weights[kept][:, None]).square().sum().backward()  # type: ignore[no-untyped-call]
        return states, {name: each.grad for name, each in encoder.named_parameters() if each.grad is not None}

    packed = states_and_gradients()
    layers = encoder.config.num_layers
    assert len(stand_in.windows) == layers
    if mask.any():  # else what is said about padding only is unspecified
        padded = _padded(encoder, states_and_gradients)
        assert len(stand_in.windows) == layers
        torch.testing.assert_close(packed, padded, rtol=1e-9, atol=1e-12)
    longest = max(lengths) or LENGTH
    near = (WINDOW // 2,) * 2 if longest > WINDOW // 2 + 1 else (-1, -1)
    local = [layer.attention.is_local for layer in encoder.layers]
    assert stand_in.windows == [near if each else (-1, -1) for each in local]


def test_layers_see_no_padding(stand_in: StandIn) -> None:
    encoder, batch = _encoder(), _batch(LENGTHS["ragged"], left=False)
    seen = []
    encoder.layers[1].feed_forward.register_forward_hook(lambda _, args, out: seen.append(tuple(out.shape)))
    encoder(**batch)
    assert seen == [(sum(LENGTHS["ragged"]), encoder.config.hidden_size)]


def test_rows_with_gaps_are_padded(stand_in: StandIn) -> None:
    """A window counts positions, and the kernel pieces: they differ behind a gap."""
    encoder, batch = _encoder().eval(), _batch(LENGTHS["ragged"], left=False)
    batch["attention_mask"][0, 5:9] = False
    expected = _padded(encoder, lambda: encoder(**batch))
    assert torch.equal(encoder(**batch), expected)
    assert stand_in.windows == []


def test_checkpoints_and_bfloat16(stand_in: StandIn) -> None:
    """Autocast decides the dtype of the heads; layers that are computed again call the kernel again."""
    encoder, batch = _encoder().float(), _batch(LENGTHS["ragged"], left=True)
    kept = batch["attention_mask"]
    expected = encoder(**batch)[kept]
    encoder.checkpoint_activations()
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(**batch)[kept]
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert len(stand_in.windows) == 3 * encoder.config.num_layers
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.1)


def test_where_the_kernel_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    capability, capturing = [8, 0], [False]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: tuple(capability))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing[0])
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
    monkeypatch.setattr(varlen, "_torch_kernel", lambda: "kernel")
    gpu, half = torch.device("cuda"), torch.bfloat16
    assert varlen.kernel_for(gpu, half, 64, 0.0) == "kernel"
    assert varlen.kernel_for(gpu, torch.float16, 256, 0.0) == "kernel"
    assert varlen.kernel_for(torch.device("cpu"), half, 64, 0.0) is None
    for dtype, size, probability in (
        (torch.float32, 64, 0.0),
        (half, 60, 0.0),
        (half, 264, 0.0),
        (half, 64, 0.1),
    ):
        assert varlen.kernel_for(gpu, dtype, size, probability) is None
    capability[0] = 7
    assert varlen.kernel_for(gpu, half, 64, 0.0) is None
    capability[0], capturing[0] = 9, True
    assert varlen.kernel_for(gpu, half, 64, 0.0) is None


def test_a_device_without_values() -> None:
    """Masks hide what is padding, since nothing there can be read."""
    encoder, meta = _encoder().to("meta"), torch.device("meta")
    batch = {name: each.to(meta) for name, each in _batch((3, 5), left=False).items()}
    assert encoder(**batch).shape == (2, LENGTH, encoder.config.hidden_size)


def test_the_kernel_of_torch_takes_these_arguments() -> None:
    """Its shapes, forward and backward, on tensors without values."""
    kernel = varlen._torch_kernel()
    if kernel is None:
        pytest.skip("this torch has no variable-length attention with windows")
    meta = torch.device("meta")
    qkv = torch.empty(17, 3, 2, 16, dtype=torch.bfloat16, device=meta, requires_grad=True)
    angles = Angles(*torch.empty(2, 17, 1, 8, device=meta))
    rows = varlen.Rows(kernel, torch.empty(3, dtype=torch.int32, device=meta), 9, None)
    for each in (rows, rows.within(2), rows.within(0)):
        attended = varlen.attend_varlen(qkv, angles, each)
        assert (attended.shape, attended.dtype) == ((17, 32), torch.bfloat16)
        attended.sum().backward()  # type: ignore[no-untyped-call]
        assert qkv.grad is not None
