"""spaCy's corpora: a `DocBin` in a ``.spacy`` file, of texts with tokens, entities and borders of sentences.

The file is MessagePack in zlib. It is unpacked here, because `DocBin` would also unpack what programs have
attached to texts; of each document spaCy is given no more than is read.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pybert_crf.files import replacing
from pybert_crf.reading import shortened
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, Source, read_chunks, source_name
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import OUTSIDE, type_name

_ZLIB = b"x\x9c"  # how spaCy's zlib begins: no text in UTF-8 does
_LARGEST = 4 << 30  # bytes unpacked; of an array that is larger MessagePack, and so spaCy, makes no file
_BORDERS = ("HEAD", "DEP", "SENT_START")
_ENTITIES = ("ENT_IOB", "ENT_TYPE")


def is_docbin(source: Source, start: bytes) -> bool:
    """Whether this is a corpus of spaCy, by its name or by how it begins."""
    named = isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == ".spacy"
    return named or start.startswith(_ZLIB)


def docbin_sentences(source: Source, habits: Habits, say: Callable[[str], None]) -> Iterator[Sentence]:
    """The sentences of the documents of a file, which are counted from 1 as lines are.

    White space, which spaCy has as tokens, is none. Where no document has borders of sentences, each is a
    sentence of its own; such ones are not told apart as documents.

    Args:
        say: is told in one line what was found out about the file.

    Raises:
        CorpusError: the file is damaged; with the document, if the fault is in one.
        ImportError: the extra `spacy` is not installed.
        OSError: the file cannot be read.
    """
    name = source_name(source)
    spacy = _spacy(f"{name} is a corpus of spaCy")
    documents = _Documents(spacy, b"".join(read_chunks(source)), name)
    bordered = any(_has_borders(doc) for doc, _ in documents)
    unknown = cut = 0
    for number, (doc, entities) in enumerate(documents, 1):
        unknown += sum(token.ent_iob == 0 and not token.text.isspace() for token in doc)
        entity = {i: each for each in entities for i in range(each.start, each.end)}
        for part in doc.sents if _has_borders(doc) else [doc[:]]:
            cut += part.start in entity and entity[part.start].start < part.start
            sentence = _sentence(part, entity, number)
            if sentence.tokens:
                yield sentence if bordered else sentence._replace(document=0)
    told = ["sentences of documents" if bordered else "documents without borders of sentences"]
    told += [f"{unknown:,} tokens without annotation, read as O"] if unknown else []
    told += [f"{cut:,} entities cut at the border of a sentence"] if cut else []
    say(f"{name}: spaCy, {'; '.join(told)}; as BIO")


def _has_borders(doc: Any) -> bool:
    """Whether a document says where its sentences end; spaCy assumes it of a single token."""
    return len(doc) > 1 and bool(doc.has_annotation("SENT_START"))


def _sentence(part: Any, entity: dict[int, Any], number: int) -> Sentence:
    """The tokens of a part of a document, and the tags of the entities at their places."""
    kept = [token for token in part if token.text.strip()]
    tags = []
    for before, token in pairwise([None, *kept]):
        here = entity.get(token.i)
        begins = before is None or entity.get(before.i) is not here
        tags.append(OUTSIDE if here is None else f"{'B' if begins else 'I'}-{here.label_}")
    sentence = Sentence([token.text for token in kept], tags, number, one_line=True, document=number)
    if part.doc.has_unknown_spaces:
        return sentence
    whole = len(part) == len(part.doc)
    text, first = part.doc.text if whole else part.text, part[0].idx if len(part) else 0
    offsets = [(token.idx - first, token.idx - first + len(token)) for token in kept]
    return sentence._replace(text=text, offsets=offsets)


class _Packed(NamedTuple):
    """What a file says of all tokens: a row of numbers for each, some of which stand for strings."""

    attributes: list[str | None]
    values: Any
    spaces: Any
    lengths: list[int]
    unknown_spaces: list[bool]
    strings: list[str]


class _Documents:
    """The documents of a file with their entities, made by spaCy each time that they are asked for.

    Raises:
        CorpusError: the file is damaged.
    """

    def __init__(self, spacy: Any, data: bytes, name: str) -> None:
        self._spacy, self._name = spacy, name
        try:
            self._packed = _unpacked(spacy, data)
        except Exception as error:  # of many kinds, as a foreign file may hold anything
            told = f"damaged, or no corpus of spaCy ({_reason(error)})"
            raise CorpusError(name, None, told) from error
        self._vocab = spacy.vocab.Vocab()
        for string in self._packed.strings:
            self._vocab.strings.add(string)

    def __iter__(self) -> Iterator[tuple[Any, tuple[Any, ...]]]:
        packed, start = self._packed, 0
        borders = _BORDERS if "DEP" in packed.attributes else _BORDERS[2:]
        read = [name for name in (*borders, *_ENTITIES) if name in packed.attributes]
        columns = [packed.attributes.index(name) for name in read]
        words = packed.values[:, packed.attributes.index("ORTH")]
        for number, length in enumerate(packed.lengths, 1):
            here = slice(start, start := start + length)
            spaces = None if packed.unknown_spaces[number - 1] else packed.spaces[here].tolist()
            try:
                doc = self._spacy.tokens.Doc(self._vocab, words=words[here].tolist(), spaces=spaces)
                if columns and length:
                    doc.from_array(read, packed.values[here][:, columns])
                entities = doc.ents
            except Exception as error:  # as above
                raise CorpusError(self._name, number, f"no document of spaCy ({_reason(error)})") from error
            yield doc, entities


def _unpacked(spacy: Any, data: bytes) -> _Packed:
    """The content of a file, checked as far as its parts must fit each other.

    Raises:
        Exception: of any kind, if it is damaged.
    """
    import numpy as np
    from srsly import msgpack

    stream = zlib.decompressobj()
    content = stream.decompress(data, _LARGEST)
    if not stream.eof:
        raise ValueError(f"its end is missing, or beyond {_LARGEST:,} bytes")
    # With this hook srsly makes no arrays of NumPy, of types that the file names.
    message = msgpack.unpackb(content, raw=False, object_pairs_hook=dict)
    names = {number: name for name, number in spacy.attrs.IDS.items()}
    attributes = [names.get(number) for number in message["attrs"]]
    values = np.frombuffer(message["tokens"], "<u8").reshape(-1, len(attributes))
    spaces = np.frombuffer(message["spaces"], bool)
    lengths = np.frombuffer(message["lengths"], "<i4").tolist()
    flags = message.get("flags") or [{}] * len(lengths)
    unknown = [bool(each.get("has_unknown_spaces")) for each in flags]
    if not (len(values) == len(spaces) == sum(lengths) and len(lengths) == len(unknown)):
        raise ValueError(f"{len(values)} tokens, but {sum(lengths)} in {len(unknown)} documents")
    if min(lengths, default=0) < 0 or "ORTH" not in attributes:
        raise ValueError("a length below 0, or no words")
    return _Packed(attributes, values, spaces, lengths, unknown, [str(each) for each in message["strings"]])


def _spacy(what: str) -> Any:
    try:
        import spacy
        import spacy.attrs
        import spacy.tokens
        import spacy.vocab
    except ImportError as error:
        raise ImportError(f"{what}: pip install 'pybert-crf[spacy]'") from error
    return spacy


def _reason(error: Exception) -> str:
    return shortened(" ".join(str(error).split())) or type(error).__name__


def write_docbin(path: str | os.PathLike[str], sentences: Iterable[Sentence], scheme: str, unit: str) -> None:
    """Write a corpus for spaCy whole or not at all; documents with borders of sentences, if they are known.

    Texts are kept: their white space, beyond a space between two words, becomes tokens.

    Args:
        scheme: of the tags.
        unit: what joins tokens without a text, and sentences.

    Raises:
        ImportError: the extra `spacy` is not installed.
    """
    spacy = _spacy(f"{os.fspath(path)} is to be a corpus of spaCy")
    vocab = spacy.vocab.Vocab()
    packed = spacy.tokens.DocBin(attrs=[*_ENTITIES, _BORDERS[2]])
    with replacing(Path(path)) as temporary:
        for document, group in groupby(sentences, lambda sentence: sentence.document):
            for members in [group] if document else ([each] for each in group):
                words = _joined([_words(each, scheme, unit) for each in members], unit)
                texts, spaces, tags, begins = map(list, zip(*words, strict=True))
                borders = begins if document else None
                packed.add(spacy.tokens.Doc(vocab, texts, spaces, ents=tags, sent_starts=borders))
        temporary.write_bytes(packed.to_bytes())


class _Word(NamedTuple):
    """A token of spaCy: whether a space follows, its tag of BIO, and whether it begins a sentence."""

    text: str
    space: bool
    tag: str
    begins: bool


def _words(sentence: Sentence, scheme: str, unit: str) -> list[_Word]:
    """The tokens of a sentence, and its white space as spaCy has it."""
    text, offsets = sentence.located(unit)
    inside = {i: span for span in spans(sentence.tags, scheme) for i in range(span.start, span.end)}
    words: list[_Word] = []
    end = 0
    for i, (token, (start, stop)) in enumerate(zip(sentence.tokens, offsets, strict=True)):
        span = inside.get(i)
        name = "" if span is None else type_name(span.label)
        if (gap := text[end:start]) == " " and words:
            words[-1] = words[-1]._replace(space=True)
        elif gap:
            goes_on = span is not None and span.start < i
            words.append(_Word(gap, False, f"I-{name}" if goes_on else OUTSIDE, not words))
        tag = OUTSIDE if span is None else f"{'B' if span.start == i else 'I'}-{name}"
        words.append(_Word(token, False, tag, not words))
        end = stop
    if gap := text[end:]:
        words.append(_Word(gap, False, OUTSIDE, False))
    return words


def _joined(sentences: list[list[_Word]], unit: str) -> list[_Word]:
    """The tokens of a document, in which words of two sentences are apart."""
    for words in sentences[:-1]:
        words[-1] = words[-1]._replace(space=unit == "word")
    return list(chain.from_iterable(sentences))
