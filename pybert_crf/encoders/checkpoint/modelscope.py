"""Checkpoints of ModelScope, by ``modelscope:owner/name``; the package `modelscope` downloads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pybert_crf.encoders.checkpoint.tensors import WEIGHT_FILES

PREFIX = "modelscope:"

_NAME = re.compile(r"\w[\w.-]*/[\w.-]+", re.ASCII)
# The weights in one format: safetensors, or pickles if there are none.
_WEIGHTS = (("model*.safetensors", WEIGHT_FILES[1]), ("pytorch_model*.bin", WEIGHT_FILES[3]))


def from_modelscope(name: str, revision: str | None, local_files_only: bool, files: Sequence[str]) -> Path:
    """Return the directory of ``modelscope:owner/name``, downloaded if the package's cache does not hold it.

    ``files`` are the names of configuration and tokenizer files; the weights are downloaded besides.

    Raises ``FileNotFoundError`` for an invalid or unknown name and if ModelScope cannot be reached,
    ``ImportError`` if the package `modelscope` is not installed.
    """
    model = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(model):
        raise FileNotFoundError(f"{name} is not of the form {PREFIX}owner/name")
    try:
        from modelscope import snapshot_download
    except ImportError as error:
        raise ImportError(
            f"{name} needs the package modelscope: pip install 'pybert-crf[modelscope]'"
        ) from error
    directory = Path()
    for weights in _WEIGHTS:
        try:
            directory = Path(
                snapshot_download(
                    model,
                    revision=revision,
                    allow_patterns=[*files, *weights],
                    local_files_only=local_files_only,
                )
            )
        except Exception as error:  # the package raises its own errors and those of its HTTP library
            reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
            raise FileNotFoundError(f"{name} cannot be downloaded ({reason})") from error
        if any((directory / file).is_file() for file in WEIGHT_FILES):
            break
    return directory
