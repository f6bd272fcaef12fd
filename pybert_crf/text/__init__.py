"""Text: tag schemes, corpora, units, pieces, windows, spans and the entity metric. Knows no torch."""

from __future__ import annotations
