"""The CRF layer: module, autograd ops and backends. Knows tensors; no text, file or encoder.

Names are imported when first used, so that :mod:`pybert_crf.crf.on_numpy` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybert_crf.crf.constraints import Constraints
    from pybert_crf.crf.module import CRF
    from pybert_crf.crf.registry import BackendStatus

__all__ = ["CRF", "BackendStatus", "Constraints"]

_HOME = {"CRF": "module", "BackendStatus": "registry", "Constraints": "constraints"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pybert_crf.crf' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
