"""Text: corpora, tag schemes and metrics, tokenizers, units and windows. Does not import torch."""

from __future__ import annotations
