"""What the tags of a file are, found out from all of them: of a scheme, spelled differently, or plain."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from pybert_crf.reading import listed, quoted
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError
from pybert_crf.text.tagging.schemes import (
    OUTSIDE,
    PLAIN,
    UNTYPED,
    SchemeError,
    TagPairs,
    check_scheme,
    detect_scheme,
    fits,
    split_tag,
)

_MOST_PLAIN = 100  # different plain tags; more are rather words of a column that holds no tags

_LETTERS = "[BIMESLUWbimesluw]"
_LEADING = re.compile(rf"({_LETTERS})[-_.:/|](.+)")
_TRAILING = re.compile(rf"(.+)[-_.:/|]({_LETTERS})")


Spelling = Mapping[str, str]
"""The usual spelling of each tag that is spelled otherwise."""


def settle_tags(
    sentences: Iterable[Sentence],
    path: str | os.PathLike[str],
    habits: Habits,
    like: str | None,
    say: Callable[[str], None],
) -> tuple[Spelling, str]:
    """The usual spelling of the tags, and the scheme of these.

    Args:
        sentences: may be iterated over more than once.
        like: the scheme that is taken if the tags fit it: that of the training part, or of a tagger.
        say: is told in one line what was taken for granted.

    Raises:
        CorpusError: a malformed tag, tags that fit no scheme, or tags of which it is not clear what they are;
            with the first line of such a tag, and the option that settles it.
    """
    seen = TagPairs(sentence.tags for sentence in sentences)
    spelling: Spelling = {}
    if habits.map_tags and habits.scheme != PLAIN:
        spelling = _mapped(seen.counts, sentences, path, say)
        sentences = Respelled(sentences, spelling)
        seen = TagPairs(sentence.tags for sentence in sentences)
    counts = seen.counts
    malformed = [tag for tag in counts if not _is_well_formed(tag)]
    if PLAIN in (habits.scheme, like if malformed else None):
        _refuse_empty(sentences, path)
        return {}, PLAIN
    if malformed:
        first, file, line = _first(sentences, malformed, path)
        if habits.scheme is not None or any(_is_typed(tag) for tag in counts):
            raise CorpusError(file, line, _malformed(first))
        _require_plain(counts, first, file, line)
        say(f"{os.fspath(path)}: {len(counts)} plain tags, of no scheme: {listed(sorted(counts)[:10])}")
        return {}, PLAIN
    _require_types(counts, sentences, path)
    return spelling, _scheme_of(seen, sentences, path, habits.scheme, like)


class Respelled:
    """Sentences with their tags in the usual spelling; may be iterated over more than once if they may."""

    def __init__(self, sentences: Iterable[Sentence], spelling: Spelling) -> None:
        self._sentences, self._spelling = sentences, spelling

    def __iter__(self) -> Iterator[Sentence]:
        if not self._spelling:
            yield from self._sentences
            return
        for sentence in self._sentences:
            yield sentence._replace(tags=[self._spelling.get(tag, tag) for tag in sentence.tags])


def _scheme_of(
    seen: TagPairs,
    sentences: Iterable[Sentence],
    path: str | os.PathLike[str],
    scheme: str | None,
    like: str | None,
) -> str:
    """The scheme that the tags fit: the given one, `like` if they do, or else the closest."""
    if scheme is None and like is not None and fits(seen, like):
        return like
    try:
        if scheme is None:
            return detect_scheme(seen)
        check_scheme(seen, scheme)
    except SchemeError as error:
        # A missing successor is noticed only after the last tag: name the line that lacks it.
        sentence = next(islice(sentences, error.sentence, None))
        raise sentence.fault(path, error.position, str(error)) from None
    return scheme


def _is_well_formed(tag: str) -> bool:
    try:
        split_tag(tag)
    except ValueError:
        return False
    return True


def _is_typed(tag: str) -> bool:
    return _is_well_formed(tag) and split_tag(tag)[1] not in ("", UNTYPED)


def _malformed(tag: str) -> str:
    try:
        split_tag(tag)
    except ValueError as error:
        return str(error) + _hint([tag])
    raise AssertionError(tag)


def _first(
    sentences: Iterable[Sentence], tags: Iterable[str], path: str | os.PathLike[str]
) -> tuple[str, str | os.PathLike[str], int]:
    """The first of these tags in the corpus, and its file and line."""
    wanted = frozenset(tags)
    for sentence in sentences:
        for position, tag in enumerate(sentence.tags):
            if tag in wanted:
                return tag, sentence.file or path, sentence.line_of(position)
    raise AssertionError(tags)


def _require_plain(counts: Counter[str], first: str, path: str | os.PathLike[str], line: int) -> None:
    """Raise ``CorpusError`` unless the tags are surely plain ones, neither of a scheme nor words."""
    option = "--scheme none reads them as plain tags"
    if hint := _hint(counts):
        raise CorpusError(path, line, f"{_malformed(first).partition(';')[0]}{hint}; {option}")
    if any(tag[1:2] == "-" and len(tag) > 2 for tag in counts):
        raise CorpusError(path, line, f"{_malformed(first)}; {option}")
    if OUTSIDE in counts:
        told = f"the tag {quoted(first)} has no prefix, as 'O' beside it suggests"
        raise CorpusError(path, line, f"{told}: --map-tags reads it as {quoted('I-' + first)}; {option}")
    if len(counts) > _MOST_PLAIN:
        told = f"{len(counts):,} different values in the place of tags, such as {quoted(first)}"
        raise CorpusError(path, line, f"{told}: --tag-column says where the tags are; {option}")
    if "" in counts:
        raise CorpusError(path, line, f"an empty tag; {option}")


def _refuse_empty(sentences: Iterable[Sentence], path: str | os.PathLike[str]) -> None:
    for sentence in sentences:
        if "" in sentence.tags:
            raise sentence.fault(path, sentence.tags.index(""), "an empty tag")


def _hint(tags: Iterable[str]) -> str:
    """How `--map-tags` would read these tags, if it could read them all."""
    read = {tag: _usual(tag) for tag in tags}
    changed = [(tag, usual) for tag, usual in read.items() if usual is not None and usual != tag]
    if not changed or None in read.values():
        return ""
    return f"; --map-tags reads {quoted(changed[0][0])} as {quoted(changed[0][1])}"


def _usual(tag: str) -> str | None:
    """The usual spelling of ``B_PER``, ``PER-B``, ``b-per`` or ``o``; None if it is not to be guessed."""
    if _is_well_formed(tag):
        return tag
    if tag in ("o", "0"):
        return OUTSIDE
    if match := _LEADING.fullmatch(tag):
        return f"{match[1].upper()}-{match[2]}"
    if match := _TRAILING.fullmatch(tag):
        return f"{match[2].upper()}-{match[1].rstrip()}"
    return None


def _mapped(
    tags: Iterable[str],
    sentences: Iterable[Sentence],
    path: str | os.PathLike[str],
    say: Callable[[str], None],
) -> Spelling:
    """The usual spelling of all tags; beside O, a name without a prefix gets I."""
    usual = {tag: _usual(tag) for tag in tags}
    if OUTSIDE in usual.values():
        usual |= {tag: f"I-{tag}" for tag, read in usual.items() if read is None and tag}
    if unknown := [tag for tag, read in usual.items() if read is None]:
        tag, file, line = _first(sentences, unknown, path)
        raise CorpusError(file, line, f"--map-tags cannot read the tag {quoted(tag)}")
    changed = sorted(f"{tag} as {read}" for tag, read in usual.items() if tag != read)
    say(f"{os.fspath(path)}: --map-tags reads {listed(changed) or 'all tags as they are'}")
    return {tag: read for tag, read in usual.items() if read is not None}


def _require_types(tags: Iterable[str], sentences: Iterable[Sentence], path: str | os.PathLike[str]) -> None:
    """Either all tags have a type or none has: a bare prefix among typed tags has lost its type."""
    bare = [tag for tag in tags if split_tag(tag)[1] == UNTYPED]
    if bare and any(_is_typed(tag) for tag in tags):
        tag, file, line = _first(sentences, bare, path)
        raise CorpusError(file, line, f"tag {quoted(tag)} has no type, but other tags of the file have one")
