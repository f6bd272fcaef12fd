"""The CRF layer: module, autograd ops and backends. Knows tensors; no text, file or encoder."""

from __future__ import annotations

from .backends import BackendStatus, backends
from .module import CRF

__all__ = ["CRF", "BackendStatus", "backends"]
