"""Tables of pandas, Polars and Arrow with a column of texts, to which a column of entities is added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pybert_crf.reading import listed, quoted

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator


class _Library(NamedTuple):
    """How the tables of a library are read and made.

    Attributes:
        names: of the columns of a table.
        values: of a column, None where one is missing.
        with_column: the table with one column more.
    """

    names: Callable[[Any], Sequence[str]]
    values: Callable[[Any, str], list[Any]]
    with_column: Callable[[Any, str, list[Any]], Any]


def tag_frame(tagger: Annotator, frame: Any, column: str, into: str, batch_tokens: int) -> Any:
    """See `Annotator.tag_frame`."""
    library = _library(frame)
    names = list(library.names(frame))
    if names.count(column) != 1:
        many = "no column" if column not in names else f"{names.count(column)} columns"
        raise ValueError(f"the table has {many} {quoted(column)}; it has {listed(list(map(str, names)))}")
    if into in names:
        raise ValueError(f"the table has a column {quoted(into)} already: into= names the new one")
    texts = library.values(frame, column)
    for row, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(
                f"row {row} of column {quoted(column)} holds {kind} instead of a text: {text!r:.60}"
            )
    found = tagger.tag((text for text in texts if text is not None), batch_tokens)
    values = [None if text is None else [entity.to_dict() for entity in next(found)] for text in texts]
    return library.with_column(frame, into, values)


def _library(frame: Any) -> _Library:
    """How the library of a table works, which the caller has imported."""
    kind = type(frame)
    known = _LIBRARIES.get((kind.__module__.partition(".")[0], kind.__name__))
    if known is None:
        told = f"{kind.__module__}.{kind.__name__}"
        cure = "; collect() makes a DataFrame of it" if kind.__name__ == "LazyFrame" else ""
        raise TypeError(f"expected a DataFrame of pandas or Polars, or a Table of pyarrow, got {told}{cure}")
    return known


def _pandas_values(frame: Any, column: str) -> list[Any]:
    values = frame[column]
    return [None if missing else value for value, missing in zip(values, values.isna(), strict=True)]


def _pandas_with(frame: Any, name: str, values: list[Any]) -> Any:
    import pandas

    return frame.assign(**{name: pandas.Series(values, index=frame.index, dtype=object)})


def _polars_with(frame: Any, name: str, values: list[Any]) -> Any:
    import polars

    text, number = polars.String, polars.Int64
    record = {"start": number, "end": number, "label": text, "text": text, "score": polars.Float64}
    return frame.with_columns(polars.Series(name, values, dtype=polars.List(polars.Struct(record))))


def _arrow_with(frame: Any, name: str, values: list[Any]) -> Any:
    import pyarrow

    from pybert_crf.text.text_tables.parquet_table import spans_type

    return frame.append_column(name, pyarrow.array(values, spans_type()))


_LIBRARIES = {
    ("pandas", "DataFrame"): _Library(lambda frame: frame.columns, _pandas_values, _pandas_with),
    ("polars", "DataFrame"): _Library(
        lambda frame: frame.columns, lambda frame, column: list(frame[column].to_list()), _polars_with
    ),
    ("pyarrow", "Table"): _Library(
        lambda frame: frame.column_names, lambda frame, column: list(frame[column].to_pylist()), _arrow_with
    ),
}
