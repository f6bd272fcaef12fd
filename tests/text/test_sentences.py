"""The ends of sentences in raw text."""

from __future__ import annotations

import pytest

from pybert_crf.text.sentences import sentence_ends


def sentences(text: str) -> list[str]:
    ends = sentence_ends(text)
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("没有标点", ["没有标点"]),
        ("他说：“你好！”走了。真的？！是……好", ["他说：“你好！”", "走了。", "真的？！", "是……", "好"]),
        ("a\nb\r\n\nc", ["a\n", "b\r\n", "\n", "c"]),
        ("Mr. Smith met J. K. Rowling. She left.", ["Mr. Smith met J. K. Rowling.", " She left."]),
        (
            "The U.S. Army grew 3.5 percent! Really? (Yes.) Ok",
            ["The U.S. Army grew 3.5 percent!", " Really?", " (Yes.)", " Ok"],
        ),
        ("See v1.2. it works", ["See v1.2. it works"]),
        ("第1.2节。", ["第1.2节。"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
