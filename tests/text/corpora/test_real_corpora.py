"""Statistics of the real corpora, which equal those that their authors published."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybert_crf.text.corpora import Corpus, read_corpus, write_columns
from pybert_crf.text.tagging.entity_spans import spans, tags_from_spans
from pybert_crf.text.tagging.schemes import convert
from pybert_crf.text.units import detect_unit

# file, scheme, unit, tags (O included), sentences, tokens, entities, longest sentence
CORPORA = [
    ("resume/train.char.bmes", "BMES", "char", 28, 3821, 124099, 13440, 178),
    ("resume/dev.char.bmes", "BMES", "char", 26, 463, 13890, 1497, 178),
    ("resume/test.char.bmes", "BMES", "char", 24, 477, 15100, 1630, 167),
    ("peoples_daily/example.dev", "BIO", "char", 7, 2318, 109870, 3819, 568),
    ("peoples_daily/example.test", "BIO", "char", 7, 4636, 219197, 7707, 577),
    ("wnut17/train.conll", "BIO", "word", 13, 3394, 62730, 1975, 41),
    ("wnut17/dev.conll", "BIO", "word", 13, 1009, 15733, 836, 82),
    ("wnut17/test.conll", "BIO", "word", 13, 1287, 23394, 1079, 105),
]


@pytest.fixture(params=CORPORA, ids=lambda row: row[0], scope="module")
def case(request: pytest.FixtureRequest, data_dir: Path) -> tuple[Corpus, tuple[object, ...]]:
    return read_corpus(data_dir / request.param[0]), request.param[1:]


def test_counts(case: tuple[Corpus, tuple[object, ...]]) -> None:
    corpus, expected = case
    statistics = corpus.statistics
    unit = detect_unit(sentence.tokens for sentence in corpus.sentences)
    entities = sum(statistics.entities.values())
    counts = (statistics.sentences, statistics.tokens, entities, statistics.longest)
    assert (corpus.scheme, unit, len(corpus.labels), *counts) == expected


def test_entities_survive_every_conversion(case: tuple[Corpus, tuple[object, ...]]) -> None:
    corpus, _ = case
    for sentence in corpus.sentences[::3]:
        found = spans(sentence.tags, corpus.scheme)
        for target in ("BIO", "IOB1", "BIOES", "BMES"):
            tags = convert(sentence.tags, corpus.scheme, target)
            assert spans(tags, target) == spans(tags, target, strict=True) == found
        assert tags_from_spans(found, len(sentence.tags), "BIO") == convert(
            sentence.tags, corpus.scheme, "BIO"
        )


def test_written_and_read_again(case: tuple[Corpus, tuple[object, ...]], tmp_path: Path) -> None:
    corpus, _ = case
    write_columns(tmp_path / "copy", corpus.sentences)
    copy = read_corpus(tmp_path / "copy")
    assert [(s.tokens, s.tags) for s in copy.sentences] == [(s.tokens, s.tags) for s in corpus.sentences]
    assert copy.scheme == corpus.scheme


def test_the_faults_in_resume_are_found(data_dir: Path) -> None:
    """Two entities of its training part cross a blank line: two lack an end, two a beginning."""
    corpus = read_corpus(data_dir / "resume" / "train.char.bmes")
    lines = ["", *corpus.path.read_text(encoding="utf-8").split("\n")]
    assert corpus.illegal_lines == [62390, 62392, 64412, 64414]
    for last in (62390, 64412):
        assert [lines[last].split()[1], lines[last + 1], lines[last + 2].split()[1]] == ["M-ORG", "", "M-ORG"]
