"""Entities as a column of a table of pandas, Polars or Arrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pybert_crf.taggers.tagger import Tagger

Make = Callable[..., Tagger]
TEXTS: list[str | None] = ["张三在北京工作。", None, "", "李四在北京", "7.7"]


def build(library: str, columns: dict[str, list[Any]]) -> Any:
    """A table of a library; that of pandas has an index of its own."""
    module = pytest.importorskip(library)
    if library == "pandas":
        return module.DataFrame(columns, index=[f"r{i}" for i in range(len(TEXTS))])
    return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)


def values(frame: Any, column: str) -> list[Any]:
    of = frame[column]
    return list(
        of.tolist() if hasattr(of, "tolist") else of.to_pylist() if hasattr(of, "to_pylist") else of.to_list()
    )


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_column_of_entities_is_added(make_tagger: Make, library: str) -> None:
    tagger = make_tagger()
    frame = build(library, {"text": TEXTS, "id": list(range(5))})
    tagged = tagger.tag_frame(frame, "text")
    assert type(tagged) is type(frame)
    names = tagged.column_names if library == "pyarrow" else list(tagged.columns)
    assert names == ["text", "id", "entities"]
    found = tagger.tag([text for text in TEXTS if text is not None])  # encoded together, as in the table
    expected = [None if t is None else [each.to_dict() for each in next(found)] for t in TEXTS]
    assert sum(len(each or ()) for each in expected) > 3
    assert values(tagged, "entities") == expected
    assert "entities" not in (frame.column_names if library == "pyarrow" else list(frame.columns))
    if library == "pandas":
        assert list(tagged.index) == list(frame.index)
    empty = tagger.tag_frame(frame[:0] if library != "pyarrow" else frame.slice(0, 0), "text", "found")
    assert values(empty, "found") == []


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_what_does_not_fit_is_refused(make_tagger: Make, library: str) -> None:
    tagger = make_tagger()
    frame = build(library, {"text": TEXTS, "id": list(range(5))})
    with pytest.raises(ValueError, match="no column 'body'; it has text, id"):
        tagger.tag_frame(frame, "body")
    with pytest.raises(ValueError, match="a column 'id' already: into= names"):
        tagger.tag_frame(frame, "text", "id")
    with pytest.raises(TypeError, match="row 0 of column 'id' holds int instead of a text: 0"):
        tagger.tag_frame(frame, "id")


def test_other_tables_are_refused(make_tagger: Make) -> None:
    with pytest.raises(TypeError, match=r"expected a DataFrame of pandas or Polars.*got builtins\.dict"):
        make_tagger().tag_frame({"text": ["a"]}, "text")
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"LazyFrame; collect\(\) makes a DataFrame of it"):
        make_tagger().tag_frame(polars.LazyFrame({"text": ["a"]}), "text")


def test_a_name_that_stands_twice_is_refused(make_tagger: Make) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([["a", "b"]], columns=["text", "text"])
    with pytest.raises(ValueError, match="the table has 2 columns 'text'"):
        make_tagger().tag_frame(frame, "text")
