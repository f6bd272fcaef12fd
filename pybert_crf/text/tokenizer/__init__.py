"""Tokenizers of all encoder families: units (characters or words) in, ids of vocabulary pieces out."""

from __future__ import annotations

from pybert_crf.text.tokenizer.unit_tokenizer import Encoded, UnitTokenizer

__all__ = ["Encoded", "UnitTokenizer"]
