"""Column files (CoNLL's format): a token a line, its tag in another column, a blank line after a sentence.

Only ``\\n`` ends a line and only spaces and tabs separate columns, so that U+0085, U+00A0, U+2028 or U+3000
may be tokens. `layout` says what is found out about the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from pybert_crf.files import replacing
from pybert_crf.reading import quoted
from pybert_crf.text.corpora.corpus import Sentence, lines_of
from pybert_crf.text.corpora.formats.layout import BLANK, Layout, Line, find_layout
from pybert_crf.text.corpora.habits import UNKNOWN, Habits
from pybert_crf.text.corpora.lines import (
    BOM,
    CorpusError,
    Fault,
    Source,
    numbered_lines,
    refuse,
    source_name,
)
from pybert_crf.text.tagging.schemes import PLAIN

DOCSTART = "-DOCSTART-"
_NEWDOC = "# newdoc"  # of CoNLL-U
_ASCII_WHITESPACE = " \t\r\v\f"
_SAMPLE = 5_000  # lines by which the layout of a tagged file is found out

Row = tuple[int, str, str]  # line number from 1, token, tag (empty if only tokens are read)


def read_columns(
    source: Source, *, habits: Habits = UNKNOWN, most: int | None = None, fault: Fault = refuse
) -> Iterator[list[str]]:
    """The tokens of each sentence of a tagged or untagged column file, as they are read.

    The layout is that of the first sentence. Args and errors are those of `sentence_rows`. An empty file is
    no error: it has no sentences.
    """
    for rows, _ in sentence_rows(source, tagged=False, habits=habits, most=most, fault=fault):
        yield [token for _, token, _ in rows]


def tagged_sentences(
    source: Source, habits: Habits = UNKNOWN, say: Callable[[str], None] = lambda note: None
) -> Iterator[Sentence]:
    """The sentences of a column file.

    Args:
        say: is told in one line what was found out about the file.

    Raises:
        CorpusError: as `sentence_rows`.
    """
    for rows, document in sentence_rows(source, tagged=True, habits=habits, say=say):
        tokens, tags = [token for _, token, _ in rows], [tag for *_, tag in rows]
        yield Sentence(tokens, tags, line=rows[0][0], document=document, lines=lines_of(rows))


def sentence_rows(
    source: Source,
    *,
    tagged: bool,
    habits: Habits = UNKNOWN,
    most: int | None = None,
    fault: Fault = refuse,
    say: Callable[[str], None] = lambda note: None,
) -> Iterator[tuple[list[Row], int]]:
    """The non-empty sentences of a column file, one list of rows each, and the number of its document.

    A blank line ends a sentence (ASCII whitespace or a byte order mark alone is blank too), as does a line
    whose first column is ``-DOCSTART-``, which is skipped, as are comments (`Layout.is_comment`). Documents,
    counted from 1, begin with ``-DOCSTART-`` or a comment ``# newdoc``; without these the number is 0.

    Args:
        source, most: see `numbered_lines`.
        tagged: whether tags are read, for which each line needs two columns.
        habits: what is known about the file.
        fault: called with the first error of a sentence; if it returns, the sentence is left out.
        say: is told in one line what was found out about the file.

    Raises:
        CorpusError: a line is not UTF-8 or too long, has another number of columns than the file, begins with
            a separator, or contains a carriage return (by `refuse`); or the layout is not clear.
    """
    name = source_name(source)
    spoilt = False

    def spoil(error: CorpusError) -> None:
        nonlocal spoilt
        if not spoilt:
            fault(error)
        spoilt = True

    lines = numbered_lines(source, most=most, fault=spoil, encoding=habits.encoding)
    head = _head(lines, _SAMPLE if tagged else None)
    if not any(text.strip(BLANK) for _, text in head):
        return
    try:
        layout = find_layout(head, habits, tagged)
    except ValueError as error:
        raise CorpusError(name, head[0][0], str(error)) from None
    say(f"{name}: {layout.told()}")
    rows: list[Row] = []
    document = 0
    for number, text in chain(head, lines):
        if _ends_sentence(text, layout, habits):
            if rows and not spoilt:
                yield rows, document
            rows, spoilt = [], False
            document += text.startswith(DOCSTART)
        elif text.startswith(_NEWDOC) and layout.is_comment(text):
            document += 1
        elif text[0] != "#" or not layout.is_comment(text):
            try:
                row = _row(text, name, number, layout, habits)
            except CorpusError as error:
                spoil(error)
            else:
                if row is not None:
                    rows.append(row)
    if rows and not spoilt:
        yield rows, document


def _head(lines: Iterator[Line], most: int | None) -> list[Line]:
    """The first `most` lines; if None, the lines up to the first blank one after a sentence."""
    head: list[Line] = []
    filled = False
    for number, text in lines:
        head.append((number, text))
        filled = filled or bool(text.strip(BLANK))
        if len(head) == most or (most is None and filled and not text.strip(_ASCII_WHITESPACE)):
            break
    return head


def _ends_sentence(text: str, layout: Layout, habits: Habits) -> bool:
    if not text:
        return True
    if text[0] in BLANK and text.strip(_ASCII_WHITESPACE) in ("", BOM):
        return not (habits.space_tokens == "keep" and text.strip("\r"))
    return text[0] == "-" and layout.split(text)[0] == DOCSTART


def _row(text: str, name: str, number: int, layout: Layout, habits: Habits) -> Row | None:
    """The row of a line; None for what CoNLL-U has besides tokens."""
    columns = layout.split(text)
    if len(columns) != layout.width or (text[0] in " \t" and not layout.token) or "\r" in text:
        return _odd_row(text, columns, name, number, layout, habits)
    if layout.counted and layout.is_left_out(columns):
        return None
    token = columns[layout.token]
    if layout.token and not token.strip(" ") and habits.space_tokens != "keep":
        told = f"the token is a space: {quoted(text)}; --space-tokens keep reads it as a token"
        raise CorpusError(name, number, told)
    if layout.segments:
        if not (len(token) == 2 and token[1].isdecimal()):
            told = f"no segment number behind the character, as elsewhere: {quoted(text)}"
            raise CorpusError(name, number, told)
        token = token[0]
    return number, token, "" if layout.tag is None else columns[layout.tag].strip()


def _odd_row(text: str, columns: list[str], name: str, number: int, layout: Layout, habits: Habits) -> Row:
    """The row of a line whose token is a space.

    Raises:
        CorpusError: it is not to be kept, or the line is odd in another way.
    """
    tagged = layout.tag is not None
    expected = "'token … tag'" if tagged else "a token"
    if "\r" in text:
        raise CorpusError(name, number, f"a carriage return inside the line: {quoted(text)}")
    if text[0] in " \t" and not layout.token:
        if habits.space_tokens == "keep" and text[0] == " ":
            values = text.split()
            if tagged and not values:
                raise CorpusError(name, number, "a space as a token, but no tag behind it")
            return number, " ", values[-1] if tagged else ""
        option = "; --space-tokens keep reads a space as a token" if text[0] == " " else ""
        told = f"the token column is empty (expected {expected}): {quoted(text)}{option}"
        raise CorpusError(name, number, told)
    count = "one column" if len(columns) == 1 else f"{len(columns)} columns"
    by = "tabs" if layout.tabs else "spaces or tabs"
    wanted = expected if layout.width == 1 + tagged else f"{layout.width} as in the other lines"
    raise CorpusError(name, number, f"{count}, expected {wanted}, separated by {by}: {quoted(text)}")


def write_columns(path: str | Path, sentences: Iterable[Sentence]) -> None:
    """Write ``token TAB tag`` lines and a blank line after each sentence; `read_corpus` reads the same back.

    Where a document begins, a line ``-DOCSTART-`` stands before it. The file appears whole or not at all.

    Raises:
        ValueError: a sentence is empty, has unequal numbers of tokens and tags, or has a token that no column
            file can hold (empty, containing a space, tab, CR or LF, or ``-DOCSTART-``).
    """
    writer = ColumnWriter()
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(map(writer.lines, sentences))


class ColumnWriter:
    """Makes the lines of a column file, sentence after sentence."""

    def __init__(self) -> None:
        self._written = self._document = 0

    def lines(self, sentence: Sentence) -> str:
        """The lines of the next sentence.

        Raises:
            ValueError: it has nothing, or something that no column file can hold.
        """
        number = self._written
        if not sentence.tokens or len(sentence.tokens) != len(sentence.tags):
            sizes = f"{len(sentence.tokens)} tokens and {len(sentence.tags)} tags"
            raise ValueError(
                f"sentence {number} has {sizes}: it needs at least one token, and a tag for each"
            )
        for value in (*sentence.tokens, *sentence.tags):
            if not value or value == DOCSTART or not set(value).isdisjoint(" \t\r\n"):
                raise ValueError(f"sentence {number}: {quoted(value)} cannot stand in a column file")
        for tag in sentence.tags:
            if not tag.strip(BLANK):  # with such a token too, the line would be blank
                raise ValueError(f"sentence {number}: the tag {quoted(tag)} cannot stand in a column file")
        lines = [f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, sentence.tags, strict=True)]
        if sentence.document != self._document:
            lines.insert(0, f"{DOCSTART}\tO\n\n")
        elif number == 0 and lines[0].startswith(BOM):  # a token, not the file's byte order mark
            lines.insert(0, BOM)
        self._written, self._document = number + 1, sentence.document
        return "".join(lines) + "\n"


def conllu_lines(text: str, offsets: Sequence[tuple[int, int]], tags: Sequence[str], scheme: str) -> str:
    """A sentence of CoNLL-U: plain tags stand in the column UPOS, others in MISC as ``Tag=B-PER``."""
    lines = [f"# text = {' '.join(text.split())}\n"]
    for number, ((start, end), tag) in enumerate(zip(offsets, tags, strict=True), 1):
        follows = number < len(offsets) and offsets[number][0] == end
        misc = [*([] if scheme == PLAIN else [f"Tag={tag}"]), *(["SpaceAfter=No"] if follows else [])]
        upos = tag if scheme == PLAIN else "_"
        row = [str(number), text[start:end], "_", upos, "_", "_", "_", "_", "_", "|".join(misc) or "_"]
        lines.append("\t".join(row) + "\n")
    return "".join(lines)
