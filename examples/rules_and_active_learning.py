"""Little tagged text: which sentences to tag next, and what a dictionary brings.

    python examples/rules_and_active_learning.py

A tagger learns from a few sentences. Of those that nobody has tagged yet it names the ones that it is least
certain of, by the exact probability of its own reading. These are tagged next: here the corpus knows the
tags, in earnest people do, in Label Studio or doccano. Then rules say what is certain, inside the CRF.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from pybert_crf import Rules, Tagger, TrainOptions, train
from pybert_crf.demo.grammar import make_corpus
from pybert_crf.evaluation import evaluate_file
from pybert_crf.text.corpora import Sentence, write_columns


def learn(sentences: list[Sentence], data: Path, out: Path, epochs: int) -> Tagger:
    """A tagger that has learnt from these sentences."""
    write_columns(data / "tagged.txt", sentences)
    result = train(
        TrainOptions(
            train=str(data / "tagged.txt"),
            dev=str(data / "dev.txt"),
            out=str(out),
            model="tiny",
            epochs=epochs,
            batch_tokens=512,
            learning_rate=2e-3,
            head_learning_rate=1e-2,
            overwrite=True,
        )
    )
    return Tagger.from_pretrained(result.out)


def surprise(tagger: Tagger, sentence: Sentence) -> float:
    """How uncertain the tagger is: minus the log probability of its best reading, for each unit."""
    best = tagger.k_best("".join(sentence.tokens), k=1)[0]
    return -math.log(max(best.probability, 1e-30)) / len(sentence.tokens)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/examples/little-data"))
    parser.add_argument("--batch", type=int, default=80, help="sentences to tag in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    data = options.out / "data"
    corpus = make_corpus(sizes=(5 * options.batch * options.rounds, 100, 300))
    corpus.write(data)
    pool = [Sentence(*each) for each in corpus.train]
    tagged, pool = pool[: options.batch], pool[options.batch :]
    for turn in range(options.rounds):
        tagger = learn(tagged, data, options.out / "tagger", options.epochs)
        f1 = evaluate_file(tagger, data / "test.txt").f1
        print(f"{len(tagged)} tagged sentences: F1 on test {f1:.3f}")
        if turn + 1 < options.rounds:
            pool.sort(key=lambda sentence: surprise(tagger, sentence), reverse=True)
            print(f"  least certain: {''.join(pool[0].tokens)}")
            tagged, pool = tagged + pool[: options.batch], pool[options.batch :]

    # What is known for certain acts inside the CRF: the readings that break a rule get the probability 0.
    text = "记者在清河口看到，村民张开正忙着收水稻。"
    print("without rules:", [(e.text, e.label, round(e.score, 2)) for e in tagger(text)])
    tagger.rules = Rules(must={"LOC": ["清河口"], "PER": ["张开"]}, never={"*": ["水稻"]})
    found = [(entity.text, entity.label) for entity in tagger(text)]
    assert {("清河口", "LOC"), ("张开", "PER")} <= set(found)
    print("with rules:   ", found)


if __name__ == "__main__":
    main()
