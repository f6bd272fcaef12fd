"""How far every family's encoder is from transformers': the measures of `test_equality`, and a table of them.

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
    """The greatest difference of a hidden state, of all layers, where nothing is padded.

    Over the root mean square of the layer's states where that is beyond 1: nothing holds them down in
    encoders that normalise first.
    """
    with torch.no_grad():
        got = ours.hidden_states(**batch)
        out = theirs(**their_arguments(batch), output_hidden_states=True)
        last = ours(**batch)
    expected = [*out.hidden_states[:-1], out.last_hidden_state]  # it records none where there is no layer
    assert len(got) == len(expected) == len(ours.applied_layers) + 1
    assert torch.equal(last, got[-1])
    places = kept(batch)
    length = places.shape[1]  # BigBird of transformers pads what its layers give to whole blocks
    pairs = [(a[places], b[:, :length][places]) for a, b in zip(got, expected, strict=True)]
    return max(float((a - b).abs().max() / b.square().mean().sqrt().clip(min=1.0)) for a, b in pairs)


class Batches(NamedTuple):
    """What an encoder is given: everything, no segments or languages, and no mask."""

    whole: Batch
    masked: Batch
    bare: Batch


def batches(ours: Encoder) -> Batches:
    """Without a mask nothing looks like padding: XLM of transformers would make a mask of it."""
    whole = batch_for(ours.config)
    masked = {name: whole[name] for name in ("input_ids", "attention_mask")}
    bare = {name: value for name, value in whole.items() if name != "attention_mask"}
    bare["input_ids"] = torch.where(bare["input_ids"] == PAD, PAD + 1, bare["input_ids"])
    return Batches(whole, masked, bare)


def activations(family: str) -> list[dict[str, Any]]:
    """The settings of every activation that the family's configuration can name."""
    key = FAMILIES[family].config_keys["activation"]
    return [] if isinstance(key, Key) else [{key: name} for name in ACTIVATIONS]


def gradients(model: Any, arguments: Batch, places: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradients of a random weighting of the last hidden states, by the model's names."""
    out = model(**arguments)
    hidden = (out if isinstance(out, torch.Tensor) else out.last_hidden_state)[places]
    weights = torch.randn(hidden.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (hidden * weights.to(hidden.dtype)).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def gradient_errors(family: str, dropout: float) -> dict[str, tuple[float, float]]:
    """Ours and transformers' greatest differences from transformers in float64, by the weights' names.

    In training mode, with ``dropout``; each difference is over the gradient's size where that is beyond 1.
    """
    table = FAMILIES[family]
    settings = {table.their_key(name): dropout for name in ("hidden_dropout", "attention_dropout")}
    theirs = their_model(family, **settings).train()
    ours = as_ours(theirs).train()
    batch = batch_for(ours.config)
    # The table of names carries gradients to their names as it carries weights.
    got = export_tensors(table, gradients(ours, batch, kept(batch)))
    single = gradients(theirs, their_arguments(batch), kept(batch))
    exact = gradients(copy.deepcopy(theirs).double(), their_arguments(batch), kept(batch))
    assert got.keys() == single.keys() == exact.keys()
    errors = {}
    for name, expected in exact.items():
        scale = max(1.0, float(expected.abs().max()))
        own, reference = (float((part[name] - expected).abs().max()) / scale for part in (got, single))
        errors[name] = (own, reference)
    return errors


def half_errors(family: str) -> tuple[float, float]:
    """Ours and transformers' root mean square differences from float32 in bfloat16, last hidden states."""
    theirs = their_model(family)
    ours = as_ours(theirs)
    batch = batch_for(ours.config)
    with torch.no_grad():
        exact = theirs(**their_arguments(batch)).last_hidden_state
        half = theirs.bfloat16()(**their_arguments(batch)).last_hidden_state
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
