"""The data of a run among its processes: the first reads, encodes and examines them; each gets its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pybert_crf.annotation.examples import Example
from pybert_crf.options import TrainOptions
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.corpora import Corpus, Sentence
from pybert_crf.text.corpora.corpus import Statistics
from pybert_crf.training.corpora import Corpora, hash_corpora, unknown_note
from pybert_crf.training.levers.distillation import Teacher
from pybert_crf.training.loop.processes import dealt, in_first, place
from pybert_crf.training.start import context_notes


def read_in_first(read: Callable[[], Corpora]) -> Corpora:
    """The corpora that `read` reads in the first process; in the others the same without any sentence."""
    whole: list[Corpora] = []

    def read_whole() -> Corpora:
        whole.append(read())
        return _emptied(whole[0])

    if place()[1] == 1:
        return read()
    empty = in_first(read_whole)
    return whole[0] if whole else empty


def _emptied(corpora: Corpora) -> Corpora:
    def empty(corpus: Corpus) -> Corpus:
        return replace(corpus, sentences=[])

    test = None if corpora.test is None else empty(corpora.test)
    untagged = replace(corpora.untagged, texts=[])
    return replace(corpora, train=empty(corpora.train), dev=empty(corpora.dev), test=test, untagged=untagged)


@dataclass(frozen=True)
class Facts:
    """What is known of all the data, in every process.

    Attributes:
        sizes: of each part, by name.
        counts: of the sentences of each part, and of the untagged texts.
        taken: what was found out about the files and taken for granted, a line each.
        notes: what a user should know of them before waiting for the result.
        content: a hash of train and dev, by which a resumed run knows them.
    """

    sizes: dict[str, Statistics]
    counts: dict[str, int]
    taken: tuple[str, ...]
    notes: tuple[str, ...]
    content: str


def examine(corpora: Corpora, examples: list[Example], tagger: Tagger, options: TrainOptions) -> Facts:
    """The facts of whole corpora, of which all that is learnt from is encoded as `examples`.

    Raises:
        ValueError: train has fewer sentences than there are processes.
    """
    world = place()[1]
    if len(examples) < world:
        raise ValueError(f"train has {len(examples)} sentences, too few for the {world} processes")
    return Facts(
        sizes={name: corpus.statistics for name, corpus in corpora.parts.items()},
        counts=corpora.sizes,
        taken=tuple(note for corpus in corpora.parts.values() for note in corpus.notes),
        notes=corpora.notes()
        + context_notes(corpora, tagger.context, options)
        + _unknown(corpora, examples, tagger),
        content=hash_corpora(corpora, examples, tagger.context),
    )


def _unknown(corpora: Corpora, examples: list[Example], tagger: Tagger) -> tuple[str, ...]:
    tokenizer, unit = tagger.tokenizer, tagger.unit
    dev = [tokenizer.encode(sentence.tokens) for sentence in corpora.dev.sentences]
    train = [example.encoded for example in examples]
    return unknown_note("dev", dev, tokenizer, unit) + unknown_note("train", train, tokenizer, unit)


class Share(NamedTuple):
    """What one process trains and evaluates on.

    Attributes:
        examples: every world-th of all that is learnt from, beginning with the process's own number.
        names: what error messages call them.
        units, documents: of each example, for a teacher; empty without one.
        dev: sentences that follow each other, with whole documents.
    """

    examples: list[Example]
    names: list[str]
    units: list[list[str]]
    documents: list[int]
    dev: Corpus


def share_out(corpora: Corpora, examples: list[Example], *, taught: bool) -> Share:
    """This process's share of what the first process has, which then lets go of the training data."""
    sentences, texts = corpora.train.sentences, corpora.untagged.texts
    names = [corpora.train.place(each) for each in sentences]
    names += [f"{each.file}, text {each.number}" for each in texts]
    units = [each.tokens for each in sentences] + [each.units for each in texts] if taught else []
    documents = [each.document for each in sentences] + [0] * len(texts) if taught else []

    def hand(rank: int, world: int) -> Share:
        start, stop = borders(corpora.dev.sentences, world)[rank : rank + 2]
        own = slice(rank, None, world)
        dev = replace(corpora.dev, sentences=corpora.dev.sentences[start:stop])
        return Share(examples[own], names[own], units[own], documents[own], dev)

    return dealt(hand)


def teach(teacher: Tagger, share: Share, weight: float) -> Teacher:
    """The teacher of the examples of a share.

    Raises:
        ValueError: it reads neighbouring sentences, which stand in the shares of other processes.
    """
    if teacher.context and place()[1] > 1:
        raise ValueError("teacher: one that reads context (--context) can only teach one process")
    return Teacher(teacher, share.units, weight, share.documents)


def borders(sentences: Sequence[Sentence], world: int) -> list[int]:
    """Where to cut sentences into `world` blocks, near-equal but for whole documents: world + 1 indices."""
    count = len(sentences)
    cuts = [0]
    for block in range(1, world):
        cut = max(cuts[-1], block * count // world)
        while 0 < cut < count and 0 < sentences[cut].document == sentences[cut - 1].document:
            cut += 1
        cuts.append(cut)
    return [*cuts, count]
