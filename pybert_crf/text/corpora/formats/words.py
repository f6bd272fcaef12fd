"""Word-segmented text: a sentence a line, words between spaces (PKU, MSR, CTB), or ``词/标记``.

By character, each word becomes B M E, or S for a word of one character, with its tag for a type if it has
one; ``词/O`` is outside. By word, each is a unit with its tag, which is a plain one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, Source, numbered_lines, source_name
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import OUTSIDE, PLAIN, UNTYPED, join_tag, split_tag

_TAGGED = re.compile(r"(.+)/([A-Za-z][A-Za-z0-9_-]{0,19})", re.DOTALL)
# Scripts that are written without spaces between words: Thai, Lao, Tibetan, Myanmar, Khmer, Kana, Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def looks_like_words(lines: Sequence[str]) -> bool:
    """Whether these lines are word-segmented text: words of an unspaced script, without columns or tags."""
    rows = [line.split() for line in lines if line and not line.isspace()]
    words = [word for row in rows for word in row]
    if not words or any("\t" in line for line in lines) or max(map(len, rows)) < 3:
        return False
    if all(map(_TAGGED.fullmatch, words)):
        return True
    letters = [character for word in words for character in word if character.isalpha()]
    if (
        2 * sum(map(bool, map(_UNSPACED.match, letters))) < len(letters)
        or len({len(row) for row in rows}) == 1
    ):
        return False
    return not any(_is_tag(row[-1]) for row in rows)


def _is_tag(word: str) -> bool:
    try:
        split_tag(word)
    except ValueError:
        return False
    return True


def word_sentences(source: Source, habits: Habits, say: Callable[[str], None]) -> Iterator[Sentence]:
    """The sentences of a file of word-segmented text.

    Args:
        say: is told in one line what was found out about the file.

    Raises:
        CorpusError: a word without a tag where others have one, or the reverse; by the line.
    """
    name = source_name(source)
    tagged: bool | None = None
    by_word = habits.unit == "word"
    document = int(habits.documents == "blank")
    begun = False
    for number, text in numbered_lines(source, encoding=habits.encoding):
        words = text.split()
        if not words:
            document += begun and document > 0
            begun = False
            continue
        begun = True
        if tagged is None:
            tagged = all(map(_TAGGED.fullmatch, words))
            form = "words and their tags, as 词/标记," if tagged else "words"
            say(f"{name}: {form} between spaces, read by {'word' if by_word else 'character, as BMES'}")
        if by_word and not tagged:
            raise CorpusError(name, number, "words without tags have nothing to learn by word: --unit char")
        if not tagged and len(words) > 1 and all(map(_TAGGED.fullmatch, words)):
            raise CorpusError(name, number, f"words with tags, unlike the first line: {quoted(text)}")
        pairs = [_pair(word, tagged, name, number) for word in words]
        if by_word:
            tokens, tags = [word for word, _ in pairs], [tag for _, tag in pairs]
        else:
            tokens = [character for word, _ in pairs for character in word]
            tags = [tag for word, label in pairs for tag in _tags(len(word), label)]
        yield Sentence(tokens, tags, number, one_line=True, document=document)


def _pair(word: str, tagged: bool, name: str, line: int) -> tuple[str, str]:
    """A word and its tag."""
    if not tagged:
        return word, UNTYPED
    match = _TAGGED.fullmatch(word)
    if match is None:
        raise CorpusError(name, line, f"a word without a tag, unlike the others: {quoted(word)}")
    return match[1], match[2]


def _tags(length: int, label: str) -> list[str]:
    if label == OUTSIDE:
        return [OUTSIDE] * length
    prefixes = "S" if length == 1 else f"B{'M' * (length - 2)}E"
    return [join_tag(prefix, label) for prefix in prefixes]


def words_line(units: Sequence[str], tags: Sequence[str], scheme: str) -> str:
    """Units as words between spaces, each with its type, ``word/TYPE``, if it has one; O stands alone."""
    bare = (UNTYPED,) if scheme == PLAIN else (UNTYPED, OUTSIDE)
    return " ".join(w if label in bare else f"{w}/{label}" for w, label in _words(units, tags, scheme))


def readable_words_line(units: Sequence[str], tags: Sequence[str], scheme: str, typed: bool) -> str:
    """As `words_line`, but `word_sentences` reads the same again: where words have types, O is ``unit/O``.

    Args:
        typed: whether words have types, in the whole file.

    Raises:
        ValueError: a unit or type that would be read as another, or as several.
    """
    words = _words(units, tags, scheme)
    for word, label in words:
        if "/" in word or any(map(str.isspace, word)):
            told = "a token that word-segmented text cannot hold (white space or a slash)"
            raise ValueError(f"{told}: {quoted(word)}")
        match = _TAGGED.fullmatch(f"{word}/{label}")
        if typed and (match is None or match[2] != label):
            raise ValueError(f"word-segmented text cannot hold the type {quoted(label)}")
    return " ".join(f"{word}/{label}" if typed else word for word, label in words)


def _words(units: Sequence[str], tags: Sequence[str], scheme: str) -> list[tuple[str, str]]:
    """The words and their types; each unit that is outside is one."""
    words: list[tuple[str, str]] = []
    end = 0
    for start, stop, label in [*spans(tags, scheme), (len(units), len(units), OUTSIDE)]:
        words += [(unit, OUTSIDE) for unit in units[end:start]]
        words += [("".join(units[start:stop]), label)] if start < stop else []
        end = stop
    return words
