"""config.json of the Hugging Face layout, to and from ``EncoderConfig``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.families import family_of


class ConfigError(ValueError):
    """A config.json that describes no encoder of ours."""


def read_config(directory: Path) -> dict[str, Any]:
    """Return the object in ``directory/config.json``; raise ``ConfigError`` where it is not one."""
    path = directory / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON or of UTF-8
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a JSON object is expected, not {type(values).__name__}")
    return values


def config_from_json(values: Mapping[str, Any]) -> EncoderConfig:
    """Return the configuration that the keys of a config.json describe.

    The first BERT releases say no ``model_type``: then it is "bert". Keys that shape no encoder (labels, task
    parameters …) are passed over. Raises ``ConfigError`` for an unknown ``model_type``, a missing or
    impossible value, and an option that would need another encoder (relative positions, a decoder …), naming
    the key.
    """
    try:
        family = family_of(values.get("model_type", "bert"))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for key, allowed in family.supported.items():
        if values.get(key, allowed[0]) not in allowed:
            raise ConfigError(f"{key} = {values[key]!r} is not supported, only {allowed[0]!r}")
    fields = {ours: values[theirs] for ours, theirs in family.config_keys.items() if theirs in values}
    needed = [field.name for field in dataclasses.fields(EncoderConfig) if field.default is MISSING]
    missing = [family.config_keys[name] for name in needed if name not in fields]
    if missing:
        raise ConfigError(f"config.json lacks {', '.join(missing)}")
    try:
        return EncoderConfig(**fields, model_type=family.model_type)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config.json: {error}") from error


def config_to_json(config: EncoderConfig) -> dict[str, Any]:
    """Return what ``transformers`` expects in config.json; ``config_from_json`` reads ``config`` back."""
    family = family_of(config.model_type)
    values: dict[str, Any] = {"model_type": family.model_type, "architectures": [family.architecture]}
    return values | {theirs: getattr(config, ours) for ours, theirs in family.config_keys.items()}
