"""The tagged corpora of a run: read, checked against each other and encoded."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from pybert_crf.annotation.annotator import Annotator
from pybert_crf.annotation.examples import Example, make_example
from pybert_crf.debug_data import NOTE, examine_corpora
from pybert_crf.options import TrainOptions
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.corpora import Corpus, CorpusError, Habits, converted, joined, mended, read_corpus
from pybert_crf.text.tokenizer import Encoded, UnitTokenizer
from pybert_crf.text.units import detect_unit
from pybert_crf.training.untagged import NO_TEXTS, Texts, check_taught, read_untagged

_KNOWN_ENOUGH = 0.01  # share of unknown units that is not worth a note


@dataclass(frozen=True)
class Corpora:
    """The parts of a run; scheme and unit are those of the training part, or of the teacher without one.

    The training part has no sentences if only a teacher is learnt from, on the texts `untagged`.
    The CRF knows only legal sequences, so tags of the training part that break the scheme are corrected, at
    the places `mended`; dev and test are evaluated as they are.
    """

    train: Corpus
    dev: Corpus
    test: Corpus | None
    unit: str
    mended: list[str]
    untagged: Texts = NO_TEXTS

    @property
    def parts(self) -> dict[str, Corpus]:
        """The parts that were given, by name."""
        train = self.train if self.train.sentences else None
        named = {"train": train, "dev": self.dev, "test": self.test}
        return {name: corpus for name, corpus in named.items() if corpus is not None}

    @property
    def sizes(self) -> dict[str, int]:
        """How many sentences each part has, and the text."""
        sizes = {name: len(corpus.sentences) for name, corpus in self.parts.items()}
        return sizes | ({"text": len(self.untagged.texts)} if self.untagged.texts else {})

    def notes(self) -> tuple[str, ...]:
        """What a user should know before waiting for the result."""
        notes = [*self.untagged.notes]
        if not self.train.sentences:
            return tuple(notes)
        if self.mended:
            told = f"train breaks {self.train.scheme} at lines {_some(self.mended)}"
            notes.append(f"{told}; mended: an illegal tag is read as conlleval reads it")
        found = examine_corpora(self.parts, self.unit)
        return (*notes, *(f"{each.part}: {each.text}" for each in found if each.level != NOTE))

    def in_scheme(self, scheme: str) -> Corpora:
        """All parts in another scheme.

        Raises:
            CorpusError: a part cannot be converted; by the line.
        """
        test = None if self.test is None else converted(self.test, scheme)
        return replace(self, train=converted(self.train, scheme), dev=converted(self.dev, scheme), test=test)


def _some(places: list[str]) -> str:
    return ", ".join(places[:5]) + (", …" if len(places) > 5 else "")


def read_corpora(options: TrainOptions, teacher: Annotator | None = None) -> Corpora:
    """Read the files of `options`.

    Args:
        teacher: the tagger that `options.teacher` names.

    Raises:
        CorpusError: a malformed line, or a part that cannot be converted to train's scheme; by file and line.
        FileNotFoundError: a file is missing.
        ValueError: train has another unit, or other tags, than the teacher.
    """
    corpora = _read_tagged(options) if options.train else _untagged(options, teacher)
    if teacher is None:
        return corpora
    check_taught(corpora.train, corpora.unit, teacher, options)
    return replace(corpora, untagged=read_untagged(options, corpora.unit))


def _untagged(options: TrainOptions, teacher: Annotator | None) -> Corpora:
    """The parts of a run without a training part: scheme and unit are the teacher's."""
    assert teacher is not None
    habits = replace(Habits.of(options), unit=teacher.unit if options.unit == "auto" else options.unit)
    none = Corpus(Path(options.files("text")[0]), [], teacher.scheme)
    dev, test = (
        _read_part(options.files(name), teacher.scheme, habits) if options.files(name) else None
        for name in ("dev", "test")
    )
    assert dev is not None
    return Corpora(none, dev, test, habits.unit, [])


def _read_tagged(options: TrainOptions) -> Corpora:
    habits = Habits.of(options)
    first = read_corpus(options.files("train")[0], habits=habits)
    files = [first, *(read_corpus(path, first.scheme, habits) for path in options.files("train")[1:])]
    several = len(files) > 1
    places = [f"{f.path.name}:{line}" if several else str(line) for f in files for line in f.illegal_lines]
    train = mended(joined(files))
    unit = options.unit if options.unit != "auto" else detect_unit(s.tokens for s in train.sentences)
    habits = replace(habits, unit=unit)  # texts with spans are cut as train is
    test = _read_part(options.files("test"), train.scheme, habits) if options.test else None
    if options.dev:
        dev = _read_part(options.files("dev"), train.scheme, habits)
    elif options.folds:
        train, dev = split_fold(train, options.folds, options.fold, options.seed)
    else:
        assert options.dev_share is not None
        train, dev = split(train, options.dev_share, options.seed)
    return Corpora(train, dev, test, unit, places)


def _read_part(paths: Sequence[str], scheme: str, habits: Habits) -> Corpus:
    """The files of dev or test as one corpus, in train's scheme."""
    return joined([converted(read_corpus(path, scheme, habits), scheme) for path in paths])


def split(corpus: Corpus, share: float, seed: int) -> tuple[Corpus, Corpus]:
    """The corpus without a part drawn by `seed`, and that part: documents if there are several, or sentences.

    Raises:
        CorpusError: it has only one sentence.
    """
    documents, sizes, names = _documents(corpus, seed)
    held, count = set(), 0
    for name in names[:-1]:  # at least one document is left
        if count >= max(1, round(share * len(documents))):
            break
        held.add(name)
        count += sizes[name]
    return _without(corpus, documents, held, len(names), f"drawn by seed {seed}")


def split_fold(corpus: Corpus, folds: int, fold: int, seed: int) -> tuple[Corpus, Corpus]:
    """The corpus without a fold, and that fold, counted from 1; documents, or sentences, are dealt in turn.

    Raises:
        CorpusError: it has fewer documents or sentences than folds.
    """
    documents, _, names = _documents(corpus, seed)
    if len(names) < folds:
        raise CorpusError(corpus.path, None, f"{len(names)} parts cannot be dealt to {folds} folds")
    told = f"fold {fold} of {folds}, drawn by seed {seed}"
    return _without(corpus, documents, set(names[fold - 1 :: folds]), len(names), told)


def _documents(corpus: Corpus, seed: int) -> tuple[list[int], Counter[int], list[int]]:
    """The document of each sentence, or the sentence itself if there are few; sizes; names, shuffled.

    Sentences of no document are one for each file, if others are of documents.
    """
    documents = [sentence.document for sentence in corpus.sentences]
    if corpus.has_documents:
        files = {file: -i for i, file in enumerate(dict.fromkeys(s.file for s in corpus.sentences))}
        documents = [s.document or files[s.file] for s in corpus.sentences]
    if len(set(documents)) < 3:
        documents = list(range(len(documents)))
    sizes = Counter(documents)
    names = sorted(sizes)
    if len(names) < 2:
        raise CorpusError(corpus.path, None, "one sentence cannot be shared between train and dev")
    random.Random(seed).shuffle(names)
    return documents, sizes, names


def _without(
    corpus: Corpus, documents: list[int], held: set[int], count: int, told: str
) -> tuple[Corpus, Corpus]:
    """The corpus without some of its `count` documents, and these."""
    dev = [s for s, name in zip(corpus.sentences, documents, strict=True) if name in held]
    train = [s for s, name in zip(corpus.sentences, documents, strict=True) if name not in held]
    kind = "documents" if count < len(documents) else "sentences"
    note = f"dev: {len(held):,} of {count:,} {kind} of train, {told}"
    return replace(corpus, sentences=train), replace(corpus, sentences=dev, notes=(note,))


def check_drawn(corpora: Corpora, context: int) -> None:
    """Check that no document was shared out between train and dev, where neighbours are read as context.

    Raises:
        CorpusError: one was, as in a corpus of one document or two; names the options.
    """
    parts = corpora.train, corpora.dev
    numbers = [{sentence.document for sentence in part.sentences} - {0} for part in parts]
    if context and not numbers[0].isdisjoint(numbers[1]):
        told = "dev is drawn by sentence from fewer than 3 documents, whose sentences lose their neighbours"
        raise CorpusError(corpora.train.path, None, f"{told}: give a file by --dev, or --context 0")


def encode_corpus(corpus: Corpus, tagger: Tagger) -> list[Example]:
    """Pieces, context and tag numbers of every sentence of a corpus; without those with an unknown tag."""
    number = {label: i for i, label in enumerate(tagger.model.labels)}
    sentences = converted(corpus, tagger.scheme).sentences
    tokens, documents = ([each.tokens for each in sentences], [each.document for each in sentences])
    return [
        read.example._replace(tags=[number[tag] for tag in sentence.tags])
        for sentence, read in zip(sentences, tagger.reader().read(tokens, documents), strict=True)
        if all(tag in number for tag in sentence.tags)
    ]


def encode_untagged(corpora: Corpora, tagger: Tagger) -> list[Example]:
    """Pieces of every untagged text; their tags are -100, as of what is masked."""
    encoded = (tagger.tokenizer.encode(text.units) for text in corpora.untagged.texts)
    return [make_example(each, tagger.layout, [-100] * len(each.first)) for each in encoded]


def hash_corpora(corpora: Corpora, examples: list[Example], context: int = 0) -> str:
    """A hash of scheme, tokens and tags, in training and on dev, and of the pieces that the encoder reads.

    With a `context` also of which sentences of dev are in one document.
    """
    digest = sha256(corpora.train.scheme.encode())
    for corpus in (corpora.train, corpora.dev):
        for sentence in corpus.sentences:
            digest.update(json.dumps([sentence.tokens, sentence.tags]).encode())
            if context:
                digest.update(str(sentence.document).encode())
    for text in corpora.untagged.texts:
        digest.update(json.dumps(text.units).encode())
    for example in examples:
        digest.update(json.dumps(example.encoded.ids).encode())
        if example.before or example.after:
            digest.update(json.dumps([example.before, example.after]).encode())
    return digest.hexdigest()


def unknown_note(part: str, encoded: list[Encoded], tokenizer: UnitTokenizer, unit: str) -> tuple[str, ...]:
    """A warning if the vocabulary lacks many units of a part, as that of another language does."""
    first = [each.ids[i] for each in encoded for i in each.first]
    share = first.count(tokenizer.unk_id) / max(1, len(first))
    if share <= _KNOWN_ENOUGH:
        return ()
    return (
        f"{share:.1%} of {part}'s {unit}s are unknown to the vocabulary and all look the same to the encoder",
    )
