"""A tagger that was trained to read sentences in their documents, served texts without any."""

from __future__ import annotations

from pathlib import Path

from serving import small_tagger

from pybert_crf.options import ServeOptions
from pybert_crf.serve import running


def test_texts_are_read_alone_and_that_is_said(tmp_path: Path) -> None:
    tagger = small_tagger()
    for context, expected in ((0, 0), (5, 1)):
        tagger.context = context
        tagger.save_pretrained(tmp_path / f"context-{context}")
        said: list[str] = []
        running._application(ServeOptions((str(tmp_path / f"context-{context}"),)), said.append)
        assert sum("reads each text alone" in line for line in said) == expected
