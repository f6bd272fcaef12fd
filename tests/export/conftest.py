"""Exported taggers, each made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from export_cases import KINDS, TEMPERATURES, tagger_of

from pybert_crf.export import export_tagger
from pybert_crf.taggers.tagger import Tagger


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], tuple[Tagger, Path]]:
    """A function that gives a tagger of a kind, and where it is exported in a format; each once."""
    done: dict[tuple[str, str], tuple[Tagger, Path]] = {}

    def export(kind: str, format: str = "onnx") -> tuple[Tagger, Path]:
        if (kind, format) not in done:
            tagger = tagger_of(*KINDS[kind])
            tagger.temperature = TEMPERATURES.get(kind, 1.0)
            out = tmp_path_factory.mktemp("exported")
            export_tagger(tagger, out, format)
            done[kind, format] = tagger, out
        return done[kind, format]

    return export
