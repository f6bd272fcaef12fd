"""Corpora in JSON lines or a JSON array: lists of tokens and tags, or texts with entities as spans.

Read are `datasets`' lists (``tokens``, ``ner_tags``), doccano's exports of both kinds, CLUENER, spaCy's
pairs, Label Studio's tasks, and our own ``{"text", "entities": [{"start", "end", "label"}]}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.documents import FIELD, DocumentNumbers, document_name
from pybert_crf.text.corpora.formats.spans import (
    Entity,
    Record,
    SpanReader,
    find_convention,
    told_changes,
    unit_of,
)
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, Source, numbered_lines, source_name

Object = tuple[int, Any]  # line from 1, what stands there

TOKENS = ("tokens", "words", "text", "sentence")
"""The keys that tokens may have, the most usual first; below, those of tags and of entities."""

TAGS = ("ner_tags", "tags", "labels", "label", "ner")
ENTITIES = ("entities", "label", "labels", "spans")


def json_sentences(source: Source, habits: Habits, say: Callable[[str], None]) -> Iterator[Sentence]:
    """The sentences of a file of JSON lines, or of a JSON array.

    Args:
        say: is told in one line what was found out about the file.

    Raises:
        CorpusError: what is no JSON, or of no known form, or has spans that do not fit; with its line.
    """
    yield from sentences_of(_Objects(source, habits), source_name(source), "JSON", habits, say)


def sentences_of(
    objects: Iterable[Object], name: str, kind: str, habits: Habits, say: Callable[[str], None]
) -> Iterator[Sentence]:
    """The sentences of objects with their lines: all lists of tokens and tags, or all texts with entities.

    Args:
        objects: are iterated over more than once, so that they need not be held.
        name, kind: the file's, for messages.

    Raises:
        CorpusError: as `json_sentences`.
    """
    numbers = DocumentNumbers()
    if all(_lists(value) is not None for _, value in objects):
        for line, value in objects:
            pair = _lists(value)
            if pair is not None and (pair[0] or pair[1]):
                document = numbers.of(document_name(value, habits, name, line))
                yield _from_lists(*pair, name, line, habits)._replace(document=document)
        say(f"{name}: {kind}, lists of tokens and tags{_of_documents(numbers, habits)}")
        return
    records = _Records(objects, name, habits)
    convention, unit = find_convention(records, name), unit_of(records, habits)
    reader = SpanReader(name, convention, unit, habits.overlaps)
    for record in records:
        sentence = reader.sentence(record)
        if sentence.tokens:
            yield sentence._replace(document=numbers.of(record.document))
    told = f"{kind}, texts with entities by {convention.words}, read by {unit}, as BIO"
    told += _of_documents(numbers, habits)
    say(f"{name}: {'; '.join([told, *told_changes([reader])])}")


class _Objects:
    """What the lines of a file hold, or the members of the one array that it is (which is read whole)."""

    def __init__(self, source: Source, habits: Habits) -> None:
        self._source, self._habits = source, habits
        self._name = source_name(source)

    def __iter__(self) -> Iterator[Object]:
        lines = self._lines()
        first = next(lines, None)
        if first is None:
            return
        if first[1].lstrip().startswith("[") and _is_array(first[1]):
            text = "\n".join(text for _, text in chain([first], lines))
            for value in parsed(text, self._name, first[0], many=True):
                yield first[0], value
            return
        for number, text in chain([first], lines):
            yield number, parsed(text, self._name, number)

    def _lines(self) -> Iterator[tuple[int, str]]:
        for number, text in numbered_lines(self._source, encoding=self._habits.encoding):
            if text and not text.isspace():
                yield number, text


class _Records:
    """The texts with entities that objects hold."""

    def __init__(self, objects: Iterable[Object], name: str, habits: Habits) -> None:
        self._objects, self._name, self._habits = objects, name, habits

    def __iter__(self) -> Iterator[Record]:
        for line, value in self._objects:
            document = document_name(value, self._habits, self._name, line)
            for record in _records(value, self._name, line, self._habits):
                yield record._replace(document=document)


def _of_documents(numbers: DocumentNumbers, habits: Habits) -> str:
    return f", of the documents in {habits.document_column or FIELD!r}" if numbers else ""


def _is_array(first: str) -> bool:
    """Whether the whole file is the array that begins in this line, unlike one of spaCy's pairs a line."""
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return True
    return not (value and isinstance(value[0], str))


def parsed(text: str, name: str, line: int, many: bool = False) -> Any:
    """What a line of JSON, or with `many` all from it on, says; raises ``CorpusError`` if it is none."""
    try:
        value = json.loads(text)
        if "\\u" in text:  # half of a pair of surrogates is no character, and no file can hold it
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError:
        raise CorpusError(
            name, line, f"half of a pair of surrogates (\\ud800 to \\udfff): {quoted(text)}"
        ) from None
    except (ValueError, RecursionError) as error:
        at = getattr(error, "lineno", 1) - 1 if many else 0
        told = getattr(error, "msg", "too deeply nested")
        raise CorpusError(name, line + at, f"not JSON ({told}): {quoted(text)}") from None


def json_text(line: str, name: str, number: int, habits: Habits) -> tuple[str | list[str], str]:
    """The text, or the tokens, that a line of JSON holds, and its document's name, empty if it has none.

    Raises:
        CorpusError: it is no JSON, or holds neither text nor tokens, or not the field of an option.
    """
    value = parsed(line, name, number)
    return text_of(value, name, number), document_name(value, habits, name, number)


def text_of(value: Any, name: str, number: int) -> str | list[str]:
    """The text, or the tokens, that the JSON of a line holds; raises ``CorpusError`` if it holds neither."""
    if isinstance(value, list) and value and isinstance(value[0], str):  # spaCy's pairs
        return value[0]
    if isinstance(value, dict) and isinstance(value.get("data"), dict):  # Label Studio's tasks
        value = value["data"]
    if isinstance(value, dict):
        for key in TOKENS:
            found = value.get(key)
            if isinstance(found, str):
                return found
            if isinstance(found, list) and all(isinstance(token, str) and token.strip() for token in found):
                return found
    raise CorpusError(name, number, f"neither a text nor tokens: {quoted(value)}")


def _lists(value: Any) -> tuple[list[Any], list[Any]] | None:
    """Tokens and tags, if an object has both as lists."""
    if not isinstance(value, dict):
        return None
    tokens = next((value[key] for key in TOKENS if isinstance(value.get(key), list | str)), None)
    tags = next((value[key] for key in TAGS if isinstance(value.get(key), list)), None)
    if tokens is None or tags is None or not all(isinstance(tag, str | int) for tag in tags):
        return None
    if isinstance(tokens, str) and (len(tags) != len(tokens) or not tags):
        return None
    return list(tokens), tags


def _from_lists(tokens: list[Any], tags: list[Any], name: str, line: int, habits: Habits) -> Sentence:
    if len(tokens) != len(tags):
        raise CorpusError(name, line, f"{len(tokens)} tokens and {len(tags)} tags")
    names = habits.labels.split(",") if habits.labels else None
    named = []
    for tag in tags:
        if isinstance(tag, int) and (names is None or not 0 <= tag < len(names)):
            told = f"the tag {tag} has no name: --labels O,B-PER,… gives the names of 0, 1, …, in order"
            raise CorpusError(name, line, told)
        named.append(names[tag] if isinstance(tag, int) and names else str(tag).strip())
    blank = " \t\r\n"  # as in column files other white space, U+3000 say, may be a token
    kept = " " if habits.space_tokens == "keep" else None
    if not all(isinstance(token, str) and (token.strip(blank) or token == kept) for token in tokens):
        raise CorpusError(name, line, "a token is empty or no text")
    return Sentence(tokens, named, line, one_line=True)


def _records(value: Any, name: str, line: int, habits: Habits) -> Iterator[Record]:
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        yield from _label_studio(value, name, line, habits)
        return
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):  # spaCy's training data
        value = {"text": value[0], **(value[1] if isinstance(value[1], dict) else {})}
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise CorpusError(name, line, f"neither tokens and tags nor a text with entities: {quoted(value)}")
    keys = [key for key in ENTITIES if key in value]
    if not keys:
        raise CorpusError(name, line, f"a text without {', '.join(ENTITIES)}: {quoted(value)}")
    given = value[keys[0]]
    try:
        entities = [] if given is None else list(_entities(given))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        told = f'entities of no known form, such as [[0, 3, "PER"]]: {quoted(given)}'
        raise CorpusError(name, line, told) from None
    yield Record(value["text"], entities, line)


def _entities(given: Any) -> Iterator[Entity]:
    if isinstance(given, dict):  # CLUENER: type → surface → spans
        for label, surfaces in given.items():
            for surface, spans in surfaces.items():
                for start, end in spans:
                    yield Entity(_offset(start), _offset(end), _label(label), surface)
        return
    for each in given:
        if isinstance(each, dict):
            start = each["start"] if "start" in each else each["start_offset"]
            end = each["end"] if "end" in each else each["end_offset"]
            for label in _labels(each):
                yield Entity(_offset(start), _offset(end), label, each.get("text"))
        else:
            start, end, label = each
            yield Entity(_offset(start), _offset(end), _label(label))


def _offset(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    return value


def _labels(entity: dict[str, Any]) -> list[str]:
    """The labels of an entity; several make as many entities, which overlap."""
    if "labels" in entity:  # Label Studio
        if not isinstance(entity["labels"], list) or not entity["labels"]:
            raise TypeError(entity["labels"])
        return [_label(label) for label in entity["labels"]]
    return [_label(entity["label"] if "label" in entity else entity["type"])]


def _label(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(value)
    return value.strip()


def _label_studio(value: dict[str, Any], name: str, line: int, habits: Habits) -> Iterator[Record]:
    """A task of Label Studio; those without an annotation are left out."""
    given = value.get("annotations", value.get("completions", []))
    if not isinstance(given, list):
        raise CorpusError(name, line, f"no list of annotations of Label Studio: {quoted(given)}")
    kept = [each for each in given if isinstance(each, dict) and not each.get("was_cancelled")]
    annotators = [str(each.get("completed_by", number)) for number, each in enumerate(kept, 1)]
    if habits.annotator is not None:
        kept = [each for each, who in zip(kept, annotators, strict=True) if who == habits.annotator]
    if len(kept) > 1:
        told = f"{len(kept)} annotations of one text, by {', '.join(annotators)[:80]}"
        raise CorpusError(name, line, f"{told}: --annotator says whose are read")
    text = next((each for each in value["data"].values() if isinstance(each, str)), None)
    text = value["data"].get("text", text)
    for annotation in kept:
        try:
            values = [each["value"] for each in annotation["result"] if "labels" in each["value"]]
            entities = [
                Entity(_offset(v["start"]), _offset(v["end"]), label, v.get("text"))
                for v in values
                for label in _labels(v)
            ]
        except (TypeError, KeyError, IndexError):
            raise CorpusError(name, line, f"no annotation of Label Studio: {quoted(annotation)}") from None
        if not isinstance(text, str):
            raise CorpusError(name, line, f"a task without text: {quoted(value['data'])}")
        yield Record(text, entities, line)
