"""Error messages quote at most 100 characters of what was given, however long it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pybert_crf import CRF, Encoder, Tagger, TrainOptions, tag_constraints
from pybert_crf.encoders import EncoderConfig
from pybert_crf.options import EvaluateOptions, explain_unknown
from pybert_crf.reading import quoted
from pybert_crf.text.corpora import Sentence, numbered_lines, read_columns, read_corpus, write_columns
from pybert_crf.text.tagging.schemes import check_scheme, convert, detect_scheme, split_tag
from pybert_crf.text.units import split_units

LONG = "長" * 10_000


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


FROM_TEXT: dict[str, Callable[[], object]] = {
    "a tag": lambda: split_tag(LONG),
    "a tag of a scheme": lambda: detect_scheme([["B-" + LONG, "X-" + LONG]]),
    "tags in a wrong order": lambda: check_scheme([["O", "E-" + LONG, "O", "E-" + LONG]], "BIOES"),
    "a scheme": lambda: convert(["O"], "BIO", LONG),
    "a constraint": lambda: tag_constraints(["O", LONG], "BIO"),
    "a unit": lambda: split_units("a", LONG),
    "a backend": lambda: CRF(3, backend=LONG),
    "a device": lambda: Tagger.from_pretrained("nowhere", device="cpu:" + LONG),
    "an encoder's size": lambda: Encoder.from_size(LONG, vocab_size=3),
    "an option": lambda: EvaluateOptions(model="a", file="b", batch_tokens=LONG),  # type: ignore[arg-type]
    "an option's choice": lambda: replace(TrainOptions("a", "b", "c"), unit=LONG),
    "a token": lambda: write_columns("nowhere", [Sentence([LONG + " "], ["O"])]),
    "an activation": lambda: EncoderConfig(vocab_size=3, activation=LONG),
}
IN_A_FILE: dict[str, tuple[str | bytes, Callable[[Path], object]]] = {
    "bytes": (b"\xff" * 10_000, lambda path: list(numbered_lines(path))),
    "a line": (LONG, lambda path: list(numbered_lines(path, most=5))),
    "one column": (LONG, read_corpus),
    "no token": ("\t" + LONG, lambda path: list(read_columns(path))),
    "a carriage return": ("a\r" + LONG, lambda path: list(read_columns(path))),
    "a tag in a file": (f"a O\nb {LONG}\n", read_corpus),
    "a tag without a type": (f"a B-{LONG}\nb I\n", read_corpus),
    "an illegal tag": (f"a M-{LONG}\nb O\nc M-{LONG}\n", read_corpus),
}


def quotes_little(error: Exception) -> bool:
    return 0 < str(error).count("長") <= 100 or (str(error).count("\\xff") <= 100 and len(str(error)) < 600)


@pytest.mark.parametrize("name", FROM_TEXT)
def test_what_was_given_is_cut(name: str) -> None:
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        FROM_TEXT[name]()
    assert quotes_little(caught.value), str(caught.value)[:300]


@pytest.mark.parametrize("name", IN_A_FILE)
def test_what_a_file_holds_is_cut(name: str, tmp_path: Path) -> None:
    text, read = IN_A_FILE[name]
    with pytest.raises(ValueError, match=r"file\.txt") as caught:
        read(written(tmp_path, text))
    assert quotes_little(caught.value), str(caught.value)[:300]


def test_a_name_of_an_option_is_cut() -> None:
    assert len(explain_unknown("--" + LONG, TrainOptions)) < 250


@pytest.mark.parametrize("value", [LONG, [LONG] * 9, {LONG: LONG}, b"x" * 9999, 10**400, Path(LONG)])
def test_quoted(value: Any) -> None:
    assert len(quoted(value)) <= 100
