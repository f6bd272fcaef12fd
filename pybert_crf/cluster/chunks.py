"""The texts of a part, read as ``predict`` reads them, with what else stands beside each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pybert_crf.annotation.annotator import LOOK_AHEAD, MOST_CHARACTERS
from pybert_crf.cluster.job import Job, Piece
from pybert_crf.cluster.places import Place
from pybert_crf.reading import quoted
from pybert_crf.text.corpora import CorpusError
from pybert_crf.text.corpora.formats.json_files import parsed, text_of
from pybert_crf.text.corpora.lines import DAMAGED, numbered_lines, packing, unpacked
from pybert_crf.text.corpora.texts import Text

_READ = 1 << 16


@dataclass
class Chunk:
    """Rows that are read and tagged together.

    Attributes:
        items: the text of each row, or its tokens; of a row that cannot be read the error.
        records: the fields that stand beside each text, the text's own among them.
        table: of Parquet, Arrow's rows in place of the records.
    """

    items: list[Text | CorpusError] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    table: Any = None

    def full(self, characters: int) -> bool:
        """Whether no more is to be read with it."""
        return len(self.items) >= LOOK_AHEAD or characters >= MOST_CHARACTERS


def chunks_of(piece: Piece, job: Job) -> Iterator[Chunk]:
    """The rows of a piece, in order.

    Raises:
        CorpusError: a line that cannot be read, unless the job skips it; or the file has changed.
        OSError: the file cannot be read.
    """
    place = Place(job.folder) / piece.file
    state = place.state()
    if state is None:
        raise FileNotFoundError(f"{place.shown}: no such file on this machine")
    if state != (piece.size, piece.modified):
        told = (
            f"it had {piece.size:,} bytes, and has {state.size:,}" if state.size != piece.size else "its time"
        )
        raise CorpusError(place.shown, None, f"has changed since the run began ({told})")
    if job.kind == "parquet":
        from pybert_crf.cluster.parquet import table_chunks

        yield from table_chunks(place, piece, job)
    else:
        yield from _chunked(_rows(place, piece, job))


def _chunked(rows: Iterator[tuple[Text | CorpusError, dict[str, Any]]]) -> Iterator[Chunk]:
    chunk, characters = Chunk(), 0
    for item, record in rows:
        chunk.items.append(item)
        chunk.records.append(record)
        characters += 0 if isinstance(item, CorpusError) else sum(map(len, item))
        if chunk.full(characters):
            yield chunk
            chunk, characters = Chunk(), 0
    if chunk.items:
        yield chunk


def _rows(place: Place, piece: Piece, job: Job) -> Iterator[tuple[Text | CorpusError, dict[str, Any]]]:
    """The lines that begin in a piece: texts or errors, each with its fields."""
    source = _Stretch(place, piece)
    faults: list[CorpusError] = []

    def fault(error: CorpusError) -> None:
        line = None if error.line is None else error.line + source.lines_before()
        error = CorpusError(error.path, line, error.message)
        if not job.skip:
            raise CorpusError(error.path, line, f"{error.message}; --errors skip goes on after it")
        faults.append(error)

    for number, line in numbered_lines(source, most=job.most, fault=fault, encoding=job.encoding):
        yield from ((error, {}) for error in faults)
        faults.clear()
        if number == 1 and piece.start:
            continue  # what is left of the line before
        if job.kind == "text":
            yield line, {}
        elif line and not line.isspace():
            try:
                yield _record(line, source.name, number, job)
            except CorpusError as error:
                fault(error)
    yield from ((error, {}) for error in faults)


def _record(line: str, name: str, number: int, job: Job) -> tuple[Text, dict[str, Any]]:
    """The text of a line of JSON, and its fields."""
    value = parsed(line, name, number)
    text: Any
    if job.column is None:
        text = text_of(value, name, number)
    else:
        text = value.get(job.column) if isinstance(value, dict) else None
        listed = isinstance(text, list) and all(isinstance(token, str) and token.strip() for token in text)
        if not isinstance(text, str) and not listed:
            told = f"no text, nor tokens, in a field {quoted(job.column)} (--text-column): {quoted(value)}"
            raise CorpusError(name, number, told)
    record = dict(value) if isinstance(value, dict) else {"text": text}
    taken = {job.answers, "error"} if job.skip else {job.answers}
    if both := taken & record.keys():
        told = f"has a field {quoted(min(both))} already, which is for the answer"
        raise CorpusError(name, number, f"{told}: --answer-column names another for the entities")
    if record.get("text", text) != text and (job.column is None or isinstance(text, list)):
        raise CorpusError(name, number, "has tokens and a text beside: --text-column text tags the text")
    return text, record


def shows_text(record: dict[str, Any], job: Job) -> bool:
    """Whether the text that was tagged is one of the fields, so that it need not be added to them."""
    return isinstance(record.get(job.column or "text"), str)


class _Stretch:
    """The bytes of the lines that begin in a piece, of a compressed file all.

    The ``\\n`` before the first of them comes with it, unless it is the first of the file: the stretch then
    begins with an empty line.
    """

    def __init__(self, place: Place, piece: Piece) -> None:
        self.name = place.shown
        self._place, self._piece = place, piece
        self._before: int | None = None

    def __iter__(self) -> Iterator[bytes]:
        start, end, size = self._piece.start, self._piece.end, self._piece.size
        with self._place.open() as file:
            packed = packing(file.read(6))
            file.seek(0)
            if packed is not None:
                try:
                    with unpacked(file, packed, self.name) as stream:
                        while data := stream.read(_READ):
                            yield data
                except DAMAGED as error:
                    raise CorpusError(self.name, None, f"compressed, but damaged: {error}") from error
                return
            begin = 0 if start == 0 else _newline(file, start - 1, end - 1)
            if begin is not None:
                yield from _until_newline(file, begin, end, size)

    def lines_before(self) -> int:
        """The number to add to that of a line of the stretch, to have that of the line of the file."""
        if self._before is None:
            self._before, left = 0, self._piece.start
            with self._place.open() as file:
                while left and (data := file.read(min(left, _READ))):
                    self._before += data.count(b"\n")
                    left -= len(data)
            if self._piece.start:
                self._before -= 1 - self._in_a_line()
        return self._before

    def _in_a_line(self) -> int:
        """1 if the piece begins in the middle of a line, else 0."""
        with self._place.open() as file:
            file.seek(self._piece.start - 1)
            return int(file.read(1) != b"\n")


def _newline(file: Any, start: int, end: int) -> int | None:
    """Where the first ``\\n`` from `start` on and before `end` is."""
    file.seek(start)
    while start < end and (data := file.read(min(_READ, end - start))):
        at: int = data.find(b"\n")
        if at >= 0:
            return start + at
        start += len(data)
    return None


def _until_newline(file: Any, begin: int, end: int, size: int) -> Iterator[bytes]:
    """The bytes from `begin` to the first ``\\n`` that is not before ``end - 1``, and with it."""
    file.seek(begin)
    at = begin
    while at < size and (data := file.read(_READ)):
        last = data.find(b"\n", max(0, end - 1 - at))
        if last >= 0 and at + last >= end - 1:
            yield data[: last + 1]
            return
        yield data
        at += len(data)
