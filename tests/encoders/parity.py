"""Differences between every family's encoder and transformers': for `test_equality`, and as a table.

    python tests/encoders/parity.py

prints the table, as Markdown: the greatest errors over all settings of a family in `encoder_cases`.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from encoder_cases import CASES, PAD, Batch, as_ours, batch_for, kept, their_arguments, their_model

from pybert_crf.encoders import Encoder
from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.checkpoint.renaming import export_tensors
from pybert_crf.encoders.families import FAMILIES, Key


def state_error(ours: Encoder, theirs: Any, batch: Batch) -> float:
    """The greatest difference between hidden states, over all layers and unpadded positions.

    Relative to the root mean square of the layer's states if that exceeds 1, as it may if `norm_first`.
    """
    with torch.no_grad():
        got = ours.hidden_states(**batch)
        out = theirs(**their_arguments(batch, theirs), output_hidden_states=True)
        last = ours(**batch)
    expected = [*out.hidden_states[:-1], out.last_hidden_state]  # none are recorded if there are no layers
    assert len(got) == len(expected) == len(ours.applied_layers) + 1
    assert torch.equal(last, got[-1])
    places = kept(batch)
    length = places.shape[1]  # transformers' BigBird pads the output of its layers to whole blocks
    pairs = [(a[places], b[:, :length][places]) for a, b in zip(got, expected, strict=True)]
    return max(float((a - b).abs().max() / b.square().mean().sqrt().clip(min=1.0)) for a, b in pairs)


def rounding_error(theirs: Any, batch: Batch) -> float:
    """The error of transformers in float32, as `state_error` measures it."""
    return state_error(as_ours(theirs).double(), theirs, batch)


class Batches(NamedTuple):
    """Inputs of an encoder: all of them, without segments and languages, and without a mask."""

    whole: Batch
    masked: Batch
    bare: Batch


def batches(ours: Encoder) -> Batches:
    """The inputs of a test; those without a mask have no padding, of which XLM would make a mask."""
    whole = batch_for(ours.config)
    masked = {name: whole[name] for name in ("input_ids", "attention_mask")}
    bare = {name: value for name, value in whole.items() if name != "attention_mask"}
    bare["input_ids"] = torch.where(bare["input_ids"] == PAD, PAD + 1, bare["input_ids"])
    return Batches(whole, masked, bare)


def activations(family: str) -> list[dict[str, Any]]:
    """The settings, of two layers, with each activation that the family's configuration allows."""
    table = FAMILIES[family]
    if isinstance(table.config_keys.get("activation"), Key):
        return []
    few = {table.their_key("num_layers"): 2}
    gated = [{"feed_forward_proj": f"gated-{name}"} for name in ACTIVATIONS] if table.split_keys else []
    plain = [{table.their_key("activation"): name} for name in ACTIVATIONS]
    return [settings | few for settings in plain + gated]


def gradients(model: Any, arguments: Batch, places: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradients of a randomly weighted sum of the last hidden states, by parameter name."""
    out = model(**arguments)
    hidden = (out if isinstance(out, torch.Tensor) else out.last_hidden_state)[places]
    weights = torch.randn(hidden.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (hidden * weights.to(hidden.dtype)).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def gradient_errors(family: str, dropout: float) -> dict[str, tuple[float, float]]:
    """The greatest differences of our gradients, and of transformers', from transformers in float64, by name.

    In training mode, with ``dropout``; relative to the greatest element of the gradient if that exceeds 1.
    """
    table = FAMILIES[family]
    places = ("hidden_dropout", "attention.dropout", "embeddings.dropout")
    settings = {table.their_key(name): dropout for name in places if name in table.config_keys}
    theirs = their_model(family, **settings).train()
    ours = as_ours(theirs).train()
    batch = batch_for(ours.config)
    # The table of names renames gradients as it renames weights.
    got = export_tensors(table, gradients(ours, batch, kept(batch)))
    single = gradients(theirs, their_arguments(batch, theirs), kept(batch))
    double = copy.deepcopy(theirs).double()
    exact = gradients(double, their_arguments(batch, double), kept(batch))
    assert got.keys() == single.keys() == exact.keys()
    errors = {}
    for name, expected in exact.items():
        scale = max(1.0, float(expected.abs().max()))
        own, reference = (float((part[name] - expected).abs().max()) / scale for part in (got, single))
        errors[name] = (own, reference)
    return errors


def half_errors(family: str) -> tuple[float, float]:
    """Root mean square errors of the last hidden states in bfloat16, ours and transformers'."""
    theirs = their_model(family)
    ours = as_ours(theirs)
    batch = batch_for(ours.config)
    with torch.no_grad():
        exact = theirs(**their_arguments(batch, theirs)).last_hidden_state
        theirs.bfloat16()
        half = theirs(**their_arguments(batch, theirs)).last_hidden_state
        own = ours.bfloat16()(**batch)
    assert own.dtype == torch.bfloat16
    error, bound = (float((x.float() - exact)[kept(batch)].square().mean().sqrt()) for x in (own, half))
    return error, bound


def _row(family: str) -> list[str]:
    models = [their_model(family, **change) for change in ({}, *CASES[family].variants.values())]
    pairs = [(as_ours(theirs), theirs) for theirs in models]
    by_kind = [max(state_error(ours, theirs, batches(ours)[i]) for ours, theirs in pairs) for i in range(3)]
    acting = [their_model(family, **change) for change in activations(family)]
    errors = [state_error(as_ours(theirs), theirs, batch_for(as_ours(theirs).config)) for theirs in acting]
    worst = [map(max, zip(*gradient_errors(family, p).values(), strict=True)) for p in (0.0, 1e-9)]
    own, reference = half_errors(family)
    return [
        f"`{family}`",
        *(f"{error:.0e}" if error else "0" for error in [*by_kind, max(errors, default=by_kind[0])]),
        *("{:.0e} ({:.0e})".format(*pair) for pair in worst),
        f"{own / reference:.2f}",
    ]


HEADER = ("family", "padding, segments", "padding", "segments", "activations", "gradient", "dropout", "bf16")


def main() -> None:
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    for family in FAMILIES:
        print(f"| {' | '.join(_row(family))} |")


if __name__ == "__main__":
    main()
