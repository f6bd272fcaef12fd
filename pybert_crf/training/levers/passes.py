"""How an encoder's passes are computed: layers recomputed in the backward pass, and compilation."""

from __future__ import annotations

from typing import Any

import torch

from pybert_crf.encoders import AnyEncoder
from pybert_crf.options import RunOptions
from pybert_crf.reading import shortened


def set_passes(encoder: AnyEncoder, options: RunOptions) -> None:
    """Let the encoder recompute its layers, or be compiled, as `options` say. The results are the same.

    Raises:
        ValueError: a class of transformers cannot recompute its layers.
        RuntimeError: torch.compile does not work here, as without a compiler of C++.
    """
    if options.checkpointing:
        try:
            encoder.checkpoint_activations()
        except ValueError as error:
            raise ValueError(f"checkpointing: {shortened(str(error))}") from error
    if options.compile:
        _compile(encoder)


def _compile(encoder: Any) -> None:
    """Compile for any batch size and length, and try it, so that a failure does not come in mid-run."""
    encoder.compile(dynamic=True)
    config = encoder.config
    ids = [i for i in range(min(config.vocab_size, 8)) if i != config.pad_id][:5]
    try:
        with torch.no_grad():
            encoder(torch.tensor([ids, ids]), torch.ones(2, len(ids), dtype=torch.bool))
    except Exception as error:  # whatever a compiler, or its absence, raises
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = shortened(" ".join(lines[:2])) or type(error).__name__
        raise RuntimeError(f"this encoder cannot be compiled here, so leave compile out: {reason}") from error
