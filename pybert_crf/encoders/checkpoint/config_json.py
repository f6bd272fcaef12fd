"""Conversion between a checkpoint's config.json and ``EncoderConfig``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pybert_crf.encoders.config import SIZES, EncoderConfig
from pybert_crf.encoders.families import Family, Key, family_of
from pybert_crf.reading import ConfigError, quoted, read_object

CONFIG_FILES = ("config.json", "bert_config.json")
"""In order of preference; the second is that of Google's releases and of what was converted from them."""


def read_config(directory: Path) -> dict[str, Any]:
    """Return the object in the first existing file of `CONFIG_FILES`.

    Raises ``FileNotFoundError`` if there is none, ``ConfigError`` if it is not a JSON object.
    """
    for name in CONFIG_FILES:
        if (directory / name).is_file():
            return read_object(directory / name)
    raise FileNotFoundError(f"{directory} has no config.json")


def config_from_json(values: Mapping[str, Any]) -> EncoderConfig:
    """Return the configuration that the keys of a config.json describe.

    A missing ``model_type`` is "bert", as in the first BERT releases. Keys that do not concern the encoder
    (labels, task parameters …) are ignored. Raises ``ConfigError``, naming the key, for an unknown
    ``model_type``, a missing or invalid value, and an unsupported option (relative positions, a decoder …).
    """
    try:
        family = family_of(values.get("model_type", "bert"))
    except ValueError as error:
        raise ConfigError(f"config.json: {error}") from error
    values = {family.old_keys.get(key, key): value for key, value in values.items()} | dict(values)
    check_supported(family.supported, values)
    try:
        values = family.current_form(values)
        config = EncoderConfig.from_fields(_fields(family, values) | {"model_type": family.model_type})
        groups = "sharing.num_groups"
        if groups in family.config_keys and config.sharing.num_groups == 0:
            raise ConfigError(f"config.json: {family.their_key(groups)} must be at least 1")
        return config
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config.json: {_in_their_words(family, str(error))}") from error


def check_supported(supported: Mapping[str, tuple[object, ...]], values: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` for the first key whose value is none of the ``supported``."""
    for key, allowed in supported.items():
        if values.get(key, allowed[0]) not in allowed:
            raise ConfigError(
                f"config.json: {key} = {quoted(values[key])} is not supported, only {allowed[0]!r}"
            )


def _in_their_words(family: Family, message: str) -> str:
    """Return a message about a field of ``EncoderConfig``, its first word, with the key of config.json."""
    name, _, rest = message.partition(" ")
    try:
        return f"{family.their_key(name)} {rest}"
    except KeyError:
        return message


def _fields(family: Family, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `EncoderConfig` given by the family and its config.json."""
    fields = {**family.defaults, **family.constants}
    for name, key in family.config_keys.items():
        their_key = family.their_key(name)
        if their_key in values:
            value = values[their_key]
            fields[name] = key.read(value) if isinstance(key, Key) else value
    for split in family.split_keys:
        if split.name in values:
            fields |= split.read(values[split.name])
    missing = [family.their_key(name) for name in SIZES if name not in fields and name not in family.derived]
    if missing:
        raise ConfigError(f"config.json lacks {', '.join(missing)}")
    unknown = {name: derive for name, derive in family.derived.items() if fields.get(name) is None}
    return fields | {name: derive(fields) for name, derive in unknown.items()}


def config_to_json(config: EncoderConfig) -> dict[str, Any]:
    """Return the content of config.json for ``transformers``; ``config_from_json`` reads ``config`` back.

    Raises ``ConfigError`` naming the fields that the family's config.json cannot express.
    """
    family = family_of(config.model_type)
    ours = config.to_fields()
    values: dict[str, Any] = {"model_type": family.model_type, "architectures": [family.architecture]}
    values |= family.written
    try:
        for name, key in family.config_keys.items():
            value = ours[name]
            values[family.their_key(name)] = key.write(value) if isinstance(key, Key) else value
        for split in family.split_keys:
            values[split.name] = split.write({name: ours[name] for name in split.fields})
    except ValueError as error:
        raise ConfigError(f"no {family.model_type} encoder: {error}") from error
    read = config_from_json(values).to_fields()
    lost = [
        f"{name} is {quoted(read[name])}, not {quoted(value)}"
        for name, value in ours.items()
        if read[name] != value
    ]
    if lost:
        raise ConfigError(f"in {family.model_type} encoders {'; '.join(lost)}")
    return values
