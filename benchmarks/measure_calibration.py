"""What one temperature does to a tagger's scores, and what sentences cut out of documents do to its F1.

    python benchmarks/measure_calibration.py my-tagger --fit dev.txt --test test.txt
    python benchmarks/measure_calibration.py my-tagger --fit dev.txt

With a test file, the temperature is fitted to the first file and measured on the second one. The sentences of
the second one are also tagged in documents of 10 and 50, joined without borders: as they are, and cut into
sentences. With one file alone, the temperature is fitted to every second sentence and measured on the others,
both ways. Before a figure is given, the tags must be the same with the temperature and without.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from pybert_crf import Tagger
from pybert_crf.evaluation import tag_corpus
from pybert_crf.report.calibration import bins_of, calibration_error
from pybert_crf.text.corpora import Corpus, Sentence, converted, read_corpus
from pybert_crf.text.tagging.entity_spans import spans


def calibration(
    tagger: Tagger, fit: Sequence[Sentence], test: Sequence[Sentence]
) -> tuple[float, float | None, float | None, float]:
    """The temperature, the expected calibration error before and after, and the F1.

    Raises:
        AssertionError: a tag differs at the temperature.
    """
    tagger.temperature = 1.0
    corpus = Corpus(Path("test"), list(test), tagger.scheme)
    before = tag_corpus(tagger, corpus, scores=True)
    fitted = tagger.calibrate((each.tokens for each in fit), (each.tags for each in fit))
    after = tag_corpus(tagger, corpus, scores=True)
    tags = [[tagging.tags for tagging in tagged.taggings] for tagged in (before, after)]
    assert tags[0] == tags[1], "the temperature has changed a tag"
    errors = [calibration_error(bins_of(tagged)) for tagged in (before, after)]
    return fitted.temperature, *errors, after.report().f1


def documents(tagger: Tagger, test: Sequence[Sentence], size: int) -> tuple[float, float]:
    """F1 of documents of `size` sentences, tagged as they are, and cut into sentences."""
    joined = [test[start : start + size] for start in range(0, len(test), size)]
    texts, gold = [], []
    for sentences in joined:
        text, right = "", set()
        for sentence in sentences:
            own, offsets = sentence.located(tagger.unit)
            for start, end, label in spans(sentence.tags, tagger.scheme):
                right.add((len(text) + offsets[start][0], len(text) + offsets[end - 1][1], label))
            text += own if tagger.unit == "char" else f"{own} "
        texts.append(text)
        gold.append(right)
    figures = []
    for tagger.split_sentences in (False, True):
        found = [{(e.start, e.end, e.label) for e in entities} for entities in tagger.tag(texts)]
        correct = sum(len(a & b) for a, b in zip(gold, found, strict=True))
        figures.append(2 * correct / (sum(map(len, gold)) + sum(map(len, found))))
    tagger.split_sentences = False
    return figures[0], figures[1]


def main() -> None:
    """Measure, and print a line a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--fit", required=True)
    parser.add_argument("--test", nargs="*", default=[])
    given = parser.parse_args()
    tagger = Tagger.from_pretrained(given.model)
    files = given.fit, *given.test
    fit, *tests = [converted(read_corpus(path), tagger.scheme).sentences for path in files]
    pairs = [("on test", fit, each) for each in tests]
    if not tests:
        pairs = [("on odd sentences", fit[::2], fit[1::2]), ("on even sentences", fit[1::2], fit[::2])]
    for name, one, other in pairs:
        temperature, before, after, f1 = calibration(tagger, one, other)
        errors = f"calibration error {before:.4f} before, {after:.4f} after"
        print(f"{name}: temperature {temperature:.3f}, {errors}, F1 {f1:.4f}", flush=True)
    for size, sentences in product((10, 50), tests):
        whole, split = documents(tagger, sentences, size)
        print(f"documents of {size}: F1 {whole:.4f} as they are, {split:.4f} by sentence", flush=True)


if __name__ == "__main__":
    main()
