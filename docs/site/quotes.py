"""Quotations of the code in pages: each is what stands in the source.

A comment before a block of code says what the block quotes: the file, and how the first and the last line
begin. Docstrings and empty lines around them are left out::

    <!-- quote pybert_crf/taggers/tagger.py | def __call__ | return next -->

``python docs/site/quotes.py`` brings the quotations of all pages up to date; ``tests/docs/test_quotes.py``
checks them.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUOTE = re.compile(
    r"^<!-- quote (\S+) \| (.+?) \| (.+?) -->\n+```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
DOCSTRING = re.compile(r'^ *"""(?:.|\n)*?"""\n', re.MULTILINE)
LANGUAGES = {".py": "python", ".cpp": "cpp", ".hpp": "cpp"}


def passage(file: str, first: str, last: str) -> str:
    """The lines of a file from the first that begins with `first` to the next that begins with `last`.

    Raises:
        ValueError: there is none, or more than one line begins with `first`.
    """
    lines = (ROOT / file).read_text("utf-8").splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.lstrip().startswith(first)]
    if len(starts) != 1:
        raise ValueError(f"{file}: {len(starts)} lines begin with {first!r}, there must be one")
    begin = starts[0]
    ends = [number for number in range(begin, len(lines)) if lines[number].lstrip().startswith(last)]
    if not ends:
        raise ValueError(f"{file}: after line {begin + 1} no line begins with {last!r}")
    found = textwrap.dedent("".join(lines[begin : ends[0] + 1]))
    return re.sub(r"\n{2,}", "\n", DOCSTRING.sub("", found)) if file.endswith(".py") else found


def quoted(page: str) -> str:
    """The text of a page with its quotations brought up to date."""

    def renewed(match: re.Match[str]) -> str:
        file, first, last, *_ = match.groups()
        head = match[0][: match[0].index("```")]
        return f"{head}```{LANGUAGES[Path(file).suffix]}\n{passage(file, first, last)}```"

    return QUOTE.sub(renewed, page)


def main() -> None:
    """Rewrite the pages whose quotations have changed."""
    for path in (ROOT / "docs").rglob("*.md"):
        old = path.read_text("utf-8")
        if (new := quoted(old)) != old:
            path.write_text(new, "utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
