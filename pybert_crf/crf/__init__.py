"""The CRF layer: module, autograd ops and backends. Knows tensors; no text, file or encoder.

Names are imported when first used, so that :mod:`pybert_crf.crf.numpy` needs no torch.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybert_crf.crf.backends import BackendStatus, backends
    from pybert_crf.crf.constraints import Constraints
    from pybert_crf.crf.module import CRF

__all__ = ["CRF", "BackendStatus", "Constraints", "backends"]

_HOME = {"CRF": "module", "BackendStatus": "backends", "Constraints": "constraints", "backends": "backends"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pybert_crf.crf' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """This package, in which ``backends`` is the function, whoever imports the file of that name first.

    Python writes an imported file into its package under the file's name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "backends" and isinstance(value, ModuleType):
            value = value.backends
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
