"""What a corpus is like before anything is trained on it: sizes, faults, and what its parts share."""

from __future__ import annotations

from pybert_crf.debug_data.examination import Examination, examine, examine_corpora
from pybert_crf.debug_data.findings import NOTE, Finding

__all__ = ["NOTE", "Examination", "Finding", "examine", "examine_corpora"]
