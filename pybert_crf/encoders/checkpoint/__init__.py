"""Checkpoints in the Hugging Face layout: found or downloaded, read, renamed and written."""

from __future__ import annotations

from pybert_crf.encoders.checkpoint.config_json import (
    CONFIG_FILES,
    check_supported,
    config_from_json,
    config_to_json,
    read_config,
)
from pybert_crf.encoders.checkpoint.hub import resolve
from pybert_crf.encoders.checkpoint.lora import Base, Lora, add_delta, checksum, read_lora, write_lora
from pybert_crf.encoders.checkpoint.renaming import (
    check_number_of_layers,
    export_tensors,
    import_tensors,
    is_finite,
)
from pybert_crf.encoders.checkpoint.tensors import CheckpointError, naming, read_tensors, write_tensors
from pybert_crf.encoders.checkpoint.upload import upload
from pybert_crf.reading import ConfigError

__all__ = [
    "CONFIG_FILES",
    "Base",
    "CheckpointError",
    "ConfigError",
    "Lora",
    "add_delta",
    "check_number_of_layers",
    "check_supported",
    "checksum",
    "config_from_json",
    "config_to_json",
    "export_tensors",
    "import_tensors",
    "is_finite",
    "naming",
    "read_config",
    "read_lora",
    "read_tensors",
    "resolve",
    "upload",
    "write_lora",
    "write_tensors",
]
