"""Checkpoints in the Hugging Face layout: found or downloaded, read, renamed and written."""

from __future__ import annotations

from pybert_crf.encoders.checkpoint.config_json import (
    ConfigError,
    config_from_json,
    config_to_json,
    read_config,
)
from pybert_crf.encoders.checkpoint.hub import resolve
from pybert_crf.encoders.checkpoint.renaming import export_tensors, import_tensors
from pybert_crf.encoders.checkpoint.tensors import CheckpointError, read_tensors, write_tensors

__all__ = [
    "CheckpointError",
    "ConfigError",
    "config_from_json",
    "config_to_json",
    "export_tensors",
    "import_tensors",
    "read_config",
    "read_tensors",
    "resolve",
    "write_tensors",
]
