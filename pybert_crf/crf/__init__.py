"""The CRF layer: module, autograd ops and backends. Knows tensors; no text, file or encoder."""

from __future__ import annotations

from pybert_crf.crf.backends import BackendStatus, backends
from pybert_crf.crf.constraints import Constraints
from pybert_crf.crf.module import CRF

__all__ = ["CRF", "BackendStatus", "Constraints", "backends"]
