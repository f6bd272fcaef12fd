"""From training to production: one ONNX file, read without torch, and behind HTTP.

    pip install 'pybert-crf[onnx,serve]'
    python examples/onnx_and_serving.py

A small tagger is trained and exported (encoder, linear layer, CRF and probabilities in one file); both are
compared on the sentences of the test part. `pybert-crf serve` then answers requests with the exported one.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.annotation.entities import Entity
from pybert_crf.demo.grammar import UNSEEN, make_corpus
from pybert_crf.export import export_tagger
from pybert_crf.onnx_tagger import OnnxTagger
from pybert_crf.text.corpora import read_corpus


def trained(out: Path, sentences: int, epochs: int) -> Tagger:
    make_corpus(sizes=(sentences, 100, 200)).write(out / "data")
    result = train(
        TrainOptions(
            train=str(out / "data" / "train.txt"),
            dev=str(out / "data" / "dev.txt"),
            out=str(out / "tagger"),
            model="tiny",
            epochs=epochs,
            batch_tokens=1024,
            learning_rate=2e-3,
            head_learning_rate=1e-2,
            overwrite=True,
        )
    )
    print(f"trained {result.out}: F1 on dev {result.dev.f1:.3f}")
    return Tagger.from_pretrained(result.out)


def same(ours: list[Entity], theirs: list[Entity]) -> bool:
    """Whether these are the same entities, with scores that differ by rounding alone."""
    places = [[(entity.start, entity.end, entity.label) for entity in side] for side in (ours, theirs)]
    return places[0] == places[1] and all(
        abs(a.score - b.score) < 1e-4 for a, b in zip(ours, theirs, strict=True)
    )


def served(model: Path, text: str) -> list[Entity]:
    """The entities of a text, from a server of its own that is stopped again."""
    command = [sys.executable, "-m", "pybert_crf", "serve", str(model), "--port", "0"]  # any free port
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8") as server:
        try:
            said = iter(server.stderr)
            address = next(found[0] for line in said if (found := re.search(r"http://[^\s/]+", line)))
            body = json.dumps({"text": text}).encode()
            request = Request(f"{address}/v1/entities", body, {"Content-Type": "application/json"})
            with urlopen(request) as answer:
                return [Entity(**entity) for entity in json.load(answer)["entities"]]
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/examples/production"))
    parser.add_argument("--sentences", type=int, default=1000, help="to learn from")
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()

    tagger = trained(options.out, options.sentences, options.epochs)
    exported = export_tagger(tagger, options.out / "onnx", overwrite=True, say=print)
    print(f"exported {exported.model}: {exported.size / 1e6:.1f} MB")

    # In the service: onnxruntime, numpy and tokenizers; torch is not imported.
    reader = OnnxTagger(options.out / "onnx")
    texts = ["".join(each.tokens) for each in read_corpus(options.out / "data" / "test.txt").sentences]
    begun = time.perf_counter()
    found = list(reader.tag(texts))
    seconds = time.perf_counter() - begun
    assert all(same(a, b) for a, b in zip(tagger.tag(texts), found, strict=True))
    print(f"the same entities and scores on {len(texts)} sentences; ONNX took {seconds:.2f} s")

    answer = served(options.out / "onnx", UNSEEN[0])
    assert same(reader(UNSEEN[0]), answer)
    print("the same over HTTP:", *(f"{each.label} {each.text} ({each.score:.2f})" for each in answer))


if __name__ == "__main__":
    main()
