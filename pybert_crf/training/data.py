"""The corpora of a run, read, checked against each other and encoded."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.batches import Example
from pybert_crf.options import TrainOptions
from pybert_crf.text.corpus import Corpus, read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.units import detect_unit


@dataclass(frozen=True)
class Data:
    """The parts of a run; `labels`, `scheme` and `unit` are those of the training part."""

    train: Corpus
    dev: Corpus
    test: Corpus | None
    unit: str

    @property
    def parts(self) -> dict[str, Corpus]:
        """The parts that are there, by name."""
        named = {"train": self.train, "dev": self.dev, "test": self.test}
        return {name: corpus for name, corpus in named.items() if corpus is not None}

    def notes(self) -> tuple[str, ...]:
        """What a user should know before waiting for the result."""
        known = set(self.train.labels)
        notes = []
        for name, corpus in self.parts.items():
            if name == "train":
                continue
            same_scheme = corpus.scheme == self.train.scheme
            unseen = [label for label in corpus.labels if label not in known] if same_scheme else []
            if unseen:
                notes.append(
                    f"{name} has tags that train never shows, so they cannot be found: {', '.join(unseen)}"
                )
            if not same_scheme:
                notes.append(
                    f"{name} is written in {corpus.scheme}; it is read as train's {self.train.scheme}"
                )
        return tuple(notes)


def read_data(options: TrainOptions) -> Data:
    """Read the files of `options`.

    Raises:
        CorpusError: a malformed line, by file and number.
        FileNotFoundError: a file is missing.
    """
    train = read_corpus(options.train)
    dev = read_corpus(options.dev)
    test = read_corpus(options.test) if options.test else None
    unit = options.unit if options.unit != "auto" else detect_unit(s.tokens for s in train.sentences)
    return Data(train, dev, test, unit)


def encode(corpus: Corpus, tokenizer: UnitTokenizer) -> list[Example]:
    """Pieces and tag numbers of every sentence of a training corpus."""
    number = {label: i for i, label in enumerate(corpus.labels)}
    return [Example(tokenizer.encode(s.tokens), [number[tag] for tag in s.tags]) for s in corpus.sentences]
