"""Rotary positions and windows: long sequences, blocks, packed rows, and ModernBERT's configurations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_cases import VOCAB, as_ours, batch_for, kept, our_config, our_encoder, their_config, their_model
from parity import state_error
from torch.nn.functional import pad

from pybert_crf.encoders import ConfigError, Encoder, MaskedLM, config_from_json, config_to_json
from pybert_crf.encoders.attention import heads
from pybert_crf.encoders.attention.dense import attend
from pybert_crf.encoders.attention.heads import Heads, Room, angles_of, turn, turned_heads
from pybert_crf.encoders.attention.packing import packing_of
from pybert_crf.encoders.attention.rotary import attend_rows
from pybert_crf.encoders.attention.windows import attend_windows, windows_of

# Rows with padding right, left and in between, whole, of one piece, and of padding only.
ROWS = [range(90), range(40, 150), [*range(30), *range(75, 140)], range(150), [77], []]


def _mask() -> torch.Tensor:
    mask = torch.zeros(len(ROWS), 150, dtype=torch.bool)
    for row, columns in enumerate(ROWS):
        mask[row, list(columns)] = True
    return mask


@pytest.mark.parametrize("window", [2, 33, 64, 128, 297, 298])
def test_long_rows(window: int) -> None:
    """Windows and blocks of all sizes; rows end within a block, and gaps are wider than a window.

    In float64, as the scores of these weights saturate and 550 pieces find the worst rounding.
    """
    theirs = their_model("modernbert", max_position_embeddings=150, local_attention=window).double()
    mask = _mask()[:-1]
    input_ids = torch.randint(8, VOCAB, mask.shape, generator=torch.Generator().manual_seed(window))
    ours = as_ours(theirs).double()
    assert state_error(ours, theirs, {"input_ids": input_ids, "attention_mask": mask}) < 1e-5
    assert state_error(ours, theirs, {"input_ids": input_ids}) < 1e-5


@pytest.mark.parametrize("probability", [0.0, 1e-9], ids=["fused", "explicit"])
@pytest.mark.parametrize("reach", [0, 1, 16, 17, 70, 148, 149, 400])
def test_windows(reach: int, probability: float) -> None:
    """Blocks equal a mask over the whole, forward and backward, in float64; so do rows without a window."""
    mask = _mask()
    packing = packing_of((6, 150), mask)
    assert packing.lengths == (90, 110, 95, 150, 1)
    torch.manual_seed(reach)
    padded = torch.randn(3, 6, 150, 2, 4, dtype=torch.float64, requires_grad=True)
    query, key, value = (packing.pack(x.flatten(2)).unflatten(1, (2, 4)).transpose(0, 1) for x in padded)
    windows = windows_of(packing, reach, padded)
    around, behind = windows.room
    roomy = [pad(x, (0, 0, around, around + behind)) for x in (key, value)]
    near = attend_windows(Heads(pad(query, (0, 0, 0, behind)), *roomy), windows, probability)[:446]
    whole = attend_rows(Heads(query, key, value), packing.lengths, probability)
    columns = torch.arange(150)
    visible = (columns[:, None] - columns).abs() <= reach
    weights = torch.randn(whole.shape, dtype=torch.float64)
    for packed, seen in ((near, visible & mask[:, None, None]), (whole, mask[:, None, None])):
        expected = attend(*padded.transpose(2, 3), seen, probability).transpose(1, 2).flatten(2)
        torch.testing.assert_close(packed, packing.pack(expected), rtol=0, atol=1e-12)
        pairs = [
            torch.autograd.grad((x * weights).sum(), padded, retain_graph=True)[0]
            for x in (packed, packing.pack(expected))
        ]
        torch.testing.assert_close(*pairs, rtol=0, atol=1e-12)


def test_packing() -> None:
    """Pieces go to one row and back; a batch of padding only is packed as one without any."""
    mask = _mask()
    packing = packing_of((6, 150), mask)
    x = torch.randn(6, 150, 3)
    packed = packing.pack(x)
    assert packed.shape == (446, 3)
    assert torch.equal(packing.unpack(packed), x * mask[:, :, None])
    for nothing in (None, torch.ones_like(mask), torch.zeros_like(mask)):
        assert packing_of((6, 150), nothing)[1:] == ((150,) * 6, None)
        assert torch.equal(packing_of((6, 150), nothing).unpack(x.flatten(0, 1)), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("room", [Room(), Room(3, 2)])
def test_heads(room: Room, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries and keys are turned, values are not, with zeros around them; so is the gradient."""
    monkeypatch.setattr(heads, "PART", 3)
    angles = angles_of(torch.arange(7), 6, 100.0, dtype)
    qkv = torch.randn(7, 3, 2, 6, dtype=dtype, requires_grad=True)
    turned = turn(qkv[:, :2].transpose(1, 2), *(x[:, None] for x in angles)).transpose(1, 2)
    behind = (0, 0, 0, room.behind)
    both = (0, 0, room.around, room.around + room.behind)
    expected = [
        pad(x.transpose(0, 1), zeros)
        for x, zeros in ((turned[:, 0], behind), (turned[:, 1], both), (qkv[:, 2], both))
    ]
    got = turned_heads(qkv, angles, room)
    assert {x.dtype for x in got} == {dtype}
    weights = [torch.randn_like(x) for x in expected]
    close = {"rtol": 0, "atol": 1e-12 if dtype == torch.float64 else 0.05}
    for mine, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, reference, **close)
    mine, reference = (
        torch.autograd.grad(sum((x * w).sum() for x, w in zip(tensors, weights, strict=True)), qkv)[0]
        for tensors in (got, expected)
    )
    torch.testing.assert_close(mine, reference, **close)


def test_turning() -> None:
    """Scores of turned queries and keys depend on the difference of positions only; norms stay."""
    angles = angles_of(torch.arange(7), 6, 100.0, torch.float64)
    x = torch.randn(2, 1, 3, 6, dtype=torch.float64).expand(-1, 7, -1, -1)
    turned = turn(x, *angles)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    scores = torch.einsum("ihd,jhd->hij", *turned)
    torch.testing.assert_close(scores[:, :-1, :-1], scores[:, 1:, 1:], rtol=0, atol=1e-5)  # float32 angles
    assert (scores[:, 0] - scores[:, 1]).abs().max() > 0.1


def test_padding_is_not_computed() -> None:
    """The layers see the pieces only, on the CPU."""
    encoder = our_encoder("modernbert").eval()
    batch = batch_for(encoder.config)
    seen = []
    encoder.layers[1].feed_forward.register_forward_hook(lambda _, args, out: seen.append(out.shape[0]))
    hidden = encoder(**batch)
    assert seen == [int(kept(batch).sum())]
    assert not hidden[~kept(batch)].any()


LISTS: dict[str, Any] = {
    "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 900.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 70.0},
    },
}


def _numbers() -> dict[str, Any]:
    return config_to_json(our_config("modernbert"))


def test_both_forms_of_the_configuration() -> None:
    """Numbers, as every version writes or reads them, and lists of version 5, which take precedence."""
    numbers = _numbers()
    assert not LISTS.keys() & numbers.keys()
    names = ("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta")
    bare = {key: value for key, value in numbers.items() if key not in names}
    config = our_config("modernbert")
    assert (config.rotary.theta, config.rotary.local_theta, config.rotary.global_every) == (900.0, 70.0, 3)
    assert config_from_json(numbers) == config_from_json(bare | LISTS) == config
    assert config_from_json(numbers | dict.fromkeys(names, 5) | LISTS) == config
    assert their_config("modernbert").layer_types == LISTS["layer_types"]
    # A list that fits several numbers: the number that is said, or the least.
    short = {"num_hidden_layers": 2, "layer_types": LISTS["layer_types"][:2]}
    assert config_from_json(numbers | short).rotary.global_every == 3
    assert config_from_json(numbers | short | {names[0]: 1}).rotary.global_every == 2


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"layer_types": [*LISTS["layer_types"][1:], "full_attention"]}, "layer_types = .*not supported"),
    ({"layer_types": LISTS["layer_types"][:3]}, "layer_types has 3 entries, but num_hidden_layers is 4"),
    ({"layer_types": ["chunked_attention"] * 4}, "layer_types must be a list of full_attention and"),
    ({"layer_types": 3}, "layer_types must be a list"),
    ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 2.0}}}, "only the rope_type"),
    ({"rope_parameters": {"rope_theta": 1e4}}, "rope_parameters must have the keys"),
    ({"rope_parameters": {"full_attention": 3}}, "rope_parameters of full_attention = 3"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling = .* is not supported"),
    ({"global_rope_theta": None}, "global_rope_theta must be a number, got None"),
    ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers must be at least 1"),
    ({"local_attention": -2}, "local_attention must be at least 0"),
    ({"num_attention_heads": 6}, "rotary attention needs an even width of heads, not 3"),
    ({"position_embedding_type": "sans_pos"}, "position_embedding_type"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_other_configurations_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_json(_numbers() | change)


@pytest.mark.parametrize(
    ("key", "value"), [("classifier_bias", True), ("classifier_activation", "silu"), ("decoder_bias", False)]
)
def test_another_head_is_refused_for_pretraining_only(key: str, value: Any, tmp_path: Path) -> None:
    MaskedLM(our_encoder("modernbert")).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text()) | {key: value}
    (tmp_path / "config.json").write_text(json.dumps(values))
    Encoder.from_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=f"{key} = {value!r} is not supported"):
        MaskedLM.from_pretrained(tmp_path)
