"""Tags: their schemes, the entity spans that they spell out, and the entity metric."""

from __future__ import annotations
