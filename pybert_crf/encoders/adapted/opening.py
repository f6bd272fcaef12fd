"""Opening encoders of every type: ours by their tables, all others through transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pybert_crf.encoders.adapted.encoder import AdaptedEncoder, max_length
from pybert_crf.encoders.adapted.their_models import describing, empty_model, library, read_their_config
from pybert_crf.encoders.checkpoint import (
    CheckpointError,
    config_from_json,
    naming,
    read_config,
    read_lora,
    read_tensors,
    resolve,
)
from pybert_crf.encoders.config.checks import MAX_LAYERS
from pybert_crf.encoders.encoder import Encoder
from pybert_crf.encoders.families import FAMILIES, family_of
from pybert_crf.reading import quoted

AnyEncoder: TypeAlias = Encoder | AdaptedEncoder


def open_encoder(
    name_or_dir: str | Path,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    dtype: torch.dtype = torch.float32,
    bidirectional: bool | None = None,
) -> AnyEncoder:
    """Open a checkpoint of any type: ours by `Encoder.from_pretrained`, others through transformers.

    Args:
        name_or_dir: as for `Encoder.from_pretrained`, as are `revision` and `local_files_only`.
        dtype: to which the weights are converted.
        bidirectional: false leaves a decoder causal, as it was trained.

    Raises:
        FileNotFoundError, ConfigError, CheckpointError: as `Encoder.from_pretrained`.
        ImportError: the type needs transformers, which is not installed.
    """
    directory = resolve(name_or_dir, revision=revision, local_files_only=local_files_only)
    with naming(directory):
        encoder, _ = load_encoder(
            directory,
            read_config(directory),
            dtype=dtype,
            bidirectional=bidirectional,
            local_files_only=local_files_only,
        )
    return encoder


def load_encoder(
    directory: Path,
    values: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float32,
    bidirectional: bool | None = None,
    local_files_only: bool = False,
) -> tuple[AnyEncoder, dict[str, Tensor]]:
    """The encoder of a directory with this config.json, and all tensors there; raises as `open_encoder`.

    If the directory holds LoRA's factors alone, they are added to the weights of their base.
    """
    lora = read_lora(directory)
    if lora is None:
        return _load_whole(directory, values, dtype, bidirectional)
    base = lora.base.directory(directory, local_files_only)
    encoder, tensors = _load_whole(base, values, dtype, bidirectional)
    lora.base.check(tensors)
    encoder.add_factors(lora.factors)
    return encoder, lora.others


def _load_whole(
    directory: Path, values: Mapping[str, Any], dtype: torch.dtype, bidirectional: bool | None
) -> tuple[AnyEncoder, dict[str, Tensor]]:
    if not is_adapted(values):
        config = config_from_json(values)
        if bidirectional is not None and family_of(config.model_type).is_decoder:
            config = config.with_fields({"attention.causal": not bidirectional})
        tensors = read_tensors(directory)
        return Encoder.from_checkpoint(config, tensors, dtype=dtype), tensors
    tensors = read_adapted(directory, values)
    encoder = AdaptedEncoder.from_checkpoint(values, tensors, dtype=dtype, bidirectional=bidirectional)
    return encoder, tensors


def read_adapted(directory: Path, values: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors of a directory whose type has no table here.

    Raises:
        ImportError: transformers is not installed, or too old.
        CheckpointError: there is only a pickle.
    """
    library(str(values["model_type"]))  # what is missing is said before anything is read
    if not any((directory / f"model.safetensors{end}").is_file() for end in ("", ".index.json")):
        raise CheckpointError(
            f"it has no model.safetensors: of type {quoted(values['model_type'])} no pickle is read"
        )
    return read_tensors(directory)


def longest_input(values: Mapping[str, Any]) -> int:
    """Pieces that the encoder of this config.json reads at once; no weights are read.

    Raises:
        ImportError, ConfigError: as `open_encoder`.
    """
    if not is_adapted(values):
        return config_from_json(values).max_length
    _, empty, _ = empty_model(read_their_config(describing(dict(values)), MAX_LAYERS))
    return max_length(empty)


def is_adapted(values: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a type that has no table here."""
    model_type = values.get("model_type", "bert")
    return isinstance(model_type, str) and model_type not in FAMILIES
