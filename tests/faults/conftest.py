"""The small corpus."""

from __future__ import annotations

from small_corpus import corpus, one_thread, options

__all__ = ["corpus", "one_thread", "options"]
