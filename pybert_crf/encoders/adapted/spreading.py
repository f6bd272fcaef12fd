"""A model of transformers over several devices, by accelerate: GPUs first, then memory, then disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from typing import Any

import torch

from pybert_crf.encoders.adapted.encoder import AdaptedEncoder
from pybert_crf.encoders.adapted.opening import AnyEncoder


def spread(encoder: AnyEncoder, max_memory: dict[int | str, int | str] | None = None) -> torch.device:
    """Move an encoder onto all devices there are, for prediction; where its inputs and states then are.

    A model of transformers is cut between layers, as far as its class says where, and each layer's weights
    are moved to where it computes. An encoder with a table of ours goes to the first GPU, if there is one.

    Args:
        max_memory: bytes, or text such as "20GiB", for each GPU by its number and for "cpu"; by default what
            is free. What fits nowhere is put into a temporary directory, and read at each use.

    Raises:
        ValueError: not even one layer fits.
    """
    first = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if not isinstance(encoder, AdaptedEncoder):
        encoder.to(first)
        return first
    from accelerate import dispatch_model, infer_auto_device_map

    model: Any = encoder.model
    whole = sorted(model._no_split_modules or ())
    places: dict[str, Any] = infer_auto_device_map(
        model, max_memory=max_memory, no_split_module_classes=whole, dtype=encoder.dtype
    )
    if set(places.values()) == {"disk"}:
        raise ValueError(f"the memory that is free does not hold the largest layer of {encoder.description}")
    if len(set(places.values())) > 1:
        directory = tempfile.mkdtemp(prefix="pybert-crf-")
        weakref.finalize(encoder, shutil.rmtree, directory, ignore_errors=True)
        dispatch_model(model, device_map=places, offload_dir=directory)
    else:
        model.to(next(iter(places.values())))
    return torch.device("cpu" if set(places.values()) <= {"cpu", "disk"} else first)
