"""``config.json``: refused by a ConfigError, or an encoder that is built and computes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch
from models import configurations, run_small
from mutation import mutate_json as mutate
from refusals import assert_good_refusal, scratch

from pybert_crf import ConfigError, Encoder, EncoderConfig
from pybert_crf.encoders import config_from_json, config_to_json, read_config

__all__ = ["check", "mutate", "seeds"]

_DIRECTORY = scratch()


def seeds() -> Iterator[tuple[str, bytes]]:
    """A configuration of each family."""
    for values in configurations():
        yield values["model_type"], json.dumps(values).encode()


def check(data: bytes) -> None:
    """Read one ``config.json``."""
    (_DIRECTORY / "config.json").write_bytes(data)
    try:
        config = config_from_json(read_config(_DIRECTORY))
    except ConfigError as error:
        assert_good_refusal(error, "config.json")
        return
    try:
        written = config_to_json(config)
    except ConfigError as error:
        assert_good_refusal(error, config.model_type)
        return
    assert config_from_json(json.loads(json.dumps(written))) == config
    if max(config.num_layers, config.sharing.num_groups, config.sharing.layers_per_group) <= 6:
        with torch.device("meta"):  # as loading does: a configuration that is refused only here is too late
            Encoder(config)
        if _is_small(config):
            run_small(Encoder(config))


def _is_small(config: EncoderConfig) -> bool:
    sizes = [value for value in config.to_fields().values() if isinstance(value, int)]
    return max(sizes) <= 64
