"""A tagger beside transformers' token-classification pipeline over the same weights: raw text → entities.

    python benchmarks/compare_pipeline.py my-tagger test.txt --sentences 300

First the best label of each character must be the same in both, in sentences that both cut into the same
pieces (Chinese characters alone). Texts are given in file order, one thread computes, all take turns; figures
are medians of processor time. The pipeline has no CRF, and gets the batch size that suits it best.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import pipeline

from pybert_crf import Tagger
from pybert_crf.text.corpora import read_corpus

BATCH_SIZES = (1, 4, 16)


def check_equal(tagger: Tagger, model: str, texts: list[str]) -> None:
    """Raise AssertionError unless the best label of every character is the same, without the CRF."""
    theirs: Any = pipeline("token-classification", model=model, ignore_labels=[])
    for text in texts:
        with torch.inference_mode():
            emissions, _ = tagger._emissions([tagger.example(text, [(i, i + 1) for i in range(len(text))])])
        ours = [tagger.labels[number] for number in emissions[0].argmax(1).tolist()]
        assert [piece["entity"] for piece in theirs(text)] == ours, text


def main(words: Sequence[str] | None = None) -> None:
    """Compare, and print a line a contender; `words` are the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="a saved tagger of Chinese characters")
    parser.add_argument("corpus")
    parser.add_argument("--sentences", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(words)

    torch.set_num_threads(1)
    tagger = Tagger.from_pretrained(given.model)
    texts = ["".join(sentence.tokens) for sentence in read_corpus(given.corpus).sentences[: given.sentences]]
    plain = [text for text in texts if re.fullmatch("[\u4e00-\u9fff，。、]+", text)][:50]
    assert plain, "no sentence of Chinese characters alone"
    check_equal(tagger, given.model, plain)
    half = Tagger.from_pretrained(given.model, dtype=torch.bfloat16)
    ours = {"float32": tagger, "bfloat16": half, "int8": Tagger.from_pretrained(given.model).quantise()}
    contenders: dict[str, Callable[[list[str]], object]] = {
        name: lambda texts, each=each: list(each.tag(texts)) for name, each in ours.items()
    }
    for size in BATCH_SIZES:
        contenders[f"pipeline, batch size {size}"] = pipeline(
            "token-classification", model=given.model, aggregation_strategy="simple", batch_size=size
        )
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(given.rounds):
        for name, tag in contenders.items():
            start = time.process_time()
            tag(texts)
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    best = min(median for name, median in medians.items() if name not in ours)
    for name, median in medians.items():
        print(f"{name}: {len(texts) / median:.0f} sentences/s, {best / median:.2f} × the best pipeline")


if __name__ == "__main__":
    main()
