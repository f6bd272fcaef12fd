"""A tagger exported by ``torch.export``, run by torch; the CRF's recursions are ops of this package."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pybert_crf.annotation.exported import INPUTS, OUTPUTS, SECTION, ExportedTagger
from pybert_crf.reading import ConfigError, quoted

SETTINGS = f"{SECTION}.json"
"""The file within the archive that holds the settings."""


class ArchiveTagger(ExportedTagger):
    """An exported tagger, with the methods of `pybert_crf.Tagger` and its answers.

    Args:
        path: the archive, or its directory if it is called ``model.pt2``.

    Raises:
        FileNotFoundError: the model or a file of the tokenizer is missing.
        ConfigError: the file is no exported tagger, or the tokenizer beside it is another one.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path) / "model.pt2" if Path(path).is_dir() else Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        settings = {SETTINGS: ""}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's own, of its own functions
                self._module = torch.export.load(str(path), extra_files=settings).module()
        except Exception as error:  # torch raises all kinds
            reason = quoted(str(error).partition("\n")[0])
            raise ConfigError(f"{path}: torch cannot open it: {reason}") from error
        super().__init__(path, settings[SETTINGS] or None)

    @torch.inference_mode()
    def _compute(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        given = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in INPUTS]
        computed = dict(zip(OUTPUTS, self._module(*given), strict=True))
        return [computed[name].numpy() for name in outputs]
