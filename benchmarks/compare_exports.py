"""A tagger in float32, bfloat16 and int8, and its exports to ONNX: F1 on a corpus, and raw text → entities.

    python benchmarks/compare_exports.py my-tagger test.txt --sentences 300

First the float32 export must find the tagger's entities, with scores within 1e-4. All have one thread and
take turns. The figures are medians of CPU seconds, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from pybert_crf import Tagger
from pybert_crf.annotation.annotator import Annotator
from pybert_crf.evaluation import evaluate_corpus
from pybert_crf.export import export_tagger
from pybert_crf.onnx_tagger import OnnxTagger
from pybert_crf.text.corpora import read_corpus


def check_equal(tagger: Annotator, exported: Annotator, texts: list[str]) -> None:
    """Raise AssertionError unless both find the same entities, with scores within 1e-4."""
    for text, expected, got in zip(texts, tagger.tag(texts), exported.tag(texts), strict=True):
        places = [[(each.start, each.end, each.label) for each in found] for found in (expected, got)]
        assert places[0] == places[1], text
        assert all(abs(a.score - b.score) < 1e-4 for a, b in zip(expected, got, strict=True)), text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="a saved tagger")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--sentences", type=int, default=300, help="of the corpus, to tag and to time")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()

    torch.set_num_threads(1)
    tagger = Tagger.from_pretrained(given.model)
    corpus = read_corpus(given.corpus)
    corpus = replace(corpus, sentences=corpus.sentences[: given.sentences])
    glue = "" if tagger.unit == "char" else " "
    texts = [glue.join(sentence.tokens) for sentence in corpus.sentences]
    with tempfile.TemporaryDirectory() as folder:
        quantised = Tagger.from_pretrained(given.model).quantise()
        half = Tagger.from_pretrained(given.model, dtype=torch.bfloat16)
        contenders: dict[str, Annotator] = {"torch": tagger, "torch bfloat16": half, "torch int8": quantised}
        for name in ("float32", "int8"):
            export_tagger(tagger, Path(folder) / name, int8=name == "int8", say=print)
            contenders[f"ONNX {name}"] = OnnxTagger(Path(folder) / name, threads=1)
        check_equal(tagger, contenders["ONNX float32"], texts)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(given.rounds):
            for name, contender in contenders.items():
                start = time.process_time()
                list(contender.tag(texts))
                seconds[name].append(time.process_time() - start)
        of_torch = statistics.median(seconds["torch"])
        for name, contender in contenders.items():
            f1 = evaluate_corpus(contender, corpus).conlleval.micro.f1
            median = statistics.median(seconds[name])
            pace = f"{len(texts) / median:.0f} sentences/s, {of_torch / median:.2f} of torch"
            print(f"{name}: {pace}; F1 {f1:.4f}", flush=True)


if __name__ == "__main__":
    main()
