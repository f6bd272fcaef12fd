"""What a corpus says of its entities, for tests of the files that it was read from."""

from __future__ import annotations

from pybert_crf.text.corpora import Corpus
from pybert_crf.text.tagging.entity_spans import spans


def entities(corpus: Corpus, glue: str = "") -> list[tuple[str, str]]:
    """The type and the text of each entity, whose units are joined by `glue`."""
    return [
        (span.label, glue.join(sentence.tokens[span.start : span.end]))
        for sentence in corpus.sentences
        for span in spans(sentence.tags, corpus.scheme)
    ]
