"""Tables: a Parquet file, a folder that `datasets.save_to_disk` wrote, or a dataset of the hub.

A row holds lists of tokens and tags, or a text with entities, under the names that JSON has for them. Numbers
of a ``ClassLabel`` get its names, which the table itself tells.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pybert_crf.files import replacing
from pybert_crf.reading import listed, quoted, shortened
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.documents import FIELD
from pybert_crf.text.corpora.formats.json_files import ENTITIES, TAGS, TOKENS, Object, sentences_of
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, Source, first_bytes, read_chunks, source_name

PREFIX = "datasets:"
"""Of the name of a dataset of the hub."""

_PARQUET = b"PAR1\x15"  # the magic number, and how every header after it begins: no text does
_HUB_NAME = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?", re.ASCII)
_BATCH = 1000  # rows that are held at once
_ROW_GROUP = 10_000  # rows that Parquet compresses together


def is_parquet(start: bytes) -> bool:
    """Whether a file that begins so is one of Parquet."""
    return start.startswith(_PARQUET)


def is_dataset(path: str | os.PathLike[str]) -> bool:
    """Whether this names a dataset of the hub or a folder of one, perhaps with a split after a colon."""
    folder, _ = _folder_and_split(path)
    files = ("dataset_info.json", "dataset_dict.json")
    return os.fspath(path).startswith(PREFIX) or any((folder / file).is_file() for file in files)


def table_sentences(source: Source, habits: Habits, say: Callable[[str], None]) -> Iterator[Sentence]:
    """The sentences of a table, whose rows are counted from 1 as lines are.

    Args:
        source: a Parquet file or its bytes; a folder; or ``datasets:owner/name``. Behind a colon a folder's
            split, or the hub's ``split`` or ``configuration:split``, which may be left out if there is one.
        say: is told in one line what was found out about the table.

    Raises:
        CorpusError: no such columns, rows that hold nothing of what is read, a damaged file, no such split,
            or a hub that cannot be reached.
        ImportError: the extra `data` is not installed.
    """
    name = source_name(source)
    if isinstance(source, str | os.PathLike) and (is_dataset(source) or Path(source).is_dir()):
        table = _saved(source, name)
    else:
        table = _parquet(source, name)
    rows = _Rows(table, name, habits)
    kind = f"{table.kind}, columns {listed(rows.columns)}"
    yield from sentences_of(rows, name, kind, habits, say)


@dataclass(frozen=True)
class _Table:
    """A table that is not held.

    Attributes:
        kind: what it is, for the user.
        schema: Arrow's.
        features: what `datasets` knows of the columns, as its JSON has it.
        batches: the rows of some columns, again at each call.
    """

    kind: str
    schema: Any
    features: dict[str, Any]
    batches: Callable[[list[str]], Iterator[Any]]


class _Rows:
    """The rows of a table as objects of JSON with their numbers, read each time that they are asked for.

    Attributes:
        columns: the names of those that are read.
    """

    def __init__(self, table: _Table, name: str, habits: Habits) -> None:
        self._table, self._name = table, name
        self._keys = _keys(table.schema, habits, name)
        self._features = {} if habits.labels else table.features
        self.columns = list(self._keys)

    def __iter__(self) -> Iterator[Object]:
        number = 0
        with arrow_faults(self._name, "damaged"):
            for batch in self._table.batches(self.columns):
                batch.validate(full=True)  # offsets beyond the data of a foreign file, or no UTF-8
                for row in batch.to_pylist():
                    number += 1
                    yield number, {key: self._named(row, column) for column, key in self._keys.items()}

    def _named(self, row: dict[str, Any], column: str) -> Any:
        return _named(row[column], self._features.get(column))


def _keys(schema: Any, habits: Habits, name: str) -> dict[str, str]:
    """The columns that are read, and the names by which an object of JSON has them.

    Raises:
        CorpusError: there are none, or not the given ones; names the options.
    """
    names: list[str] = schema.names
    tokens = {column: column for column in TOKENS if column in names}
    tags = {column: column for column in (*TAGS, *ENTITIES) if column in names}
    if habits.token_column is not None:
        column = _given(habits.token_column, "token", names, name)
        tokens = {column: TOKENS[0] if _is_list(schema, column) else "text"}
    if habits.tag_column is not None:
        column = _given(habits.tag_column, "tag", names, name)
        tags = {column: TAGS[0] if _is_list(schema, column) else ENTITIES[0]}
    if not tokens or not tags:
        told = f"no columns of tokens and tags, or of a text and entities, among {listed(names)}"
        raise CorpusError(name, None, f"{told}: --token-column and --tag-column name them")
    return tokens | tags | _document_column(habits, names, name)


def _document_column(habits: Habits, names: list[str], name: str) -> dict[str, str]:
    """The column that tells the documents, if there is one."""
    if habits.document_column is None:
        return {FIELD: FIELD} if FIELD in names else {}
    column = _given(habits.document_column, "document", names, name)
    return {column: habits.document_column}


def _given(given: str, what: str, names: list[str], name: str) -> str:
    """The column that an option gives by name or by number."""
    if given in names:
        return given
    if len(given) < 10 and given.isdecimal() and 1 <= int(given) <= len(names):
        return names[int(given) - 1]
    told = f"--{what}-column {shortened(given)}: the table has no such column; there are {listed(names)}"
    raise CorpusError(name, None, told)


def _is_list(schema: Any, column: str) -> bool:
    """Whether a column holds lists of words or numbers, not of records."""
    import pyarrow.types as types

    kind = schema.field(column).type
    return hasattr(kind, "value_type") and not types.is_nested(kind.value_type)


def _named(value: Any, feature: Any) -> Any:
    """A value whose class numbers are replaced by names, and whose record of lists is a list of records."""
    while isinstance(feature, dict) and "_type" in feature and "feature" in feature:
        feature = feature["feature"]  # of the members of a list
    if isinstance(feature, list) and len(feature) == 1:
        feature = feature[0]
    if isinstance(value, list):
        return [_named(each, feature) for each in value]
    known = feature if isinstance(feature, dict) else {}
    if isinstance(value, dict):
        fields = {key: _named(each, known.get(key)) for key, each in value.items()}
        if fields and all(isinstance(each, list) for each in fields.values()):
            return [dict(zip(fields, each, strict=True)) for each in zip(*fields.values(), strict=True)]
        return fields
    names = known.get("names") if known.get("_type") == "ClassLabel" else None
    if isinstance(names, list) and isinstance(value, int) and 0 <= value < len(names):
        return str(names[value])
    return value


def _parquet(source: Source, name: str) -> _Table:
    """The table of a Parquet file.

    Raises:
        CorpusError: it is none, or damaged.
        OSError: it cannot be read.
    """
    parquet = require_pyarrow(f"{name} is Parquet").parquet
    opened = arrow_opener(source)
    with arrow_faults(name, "damaged, or no Parquet"), parquet.ParquetFile(opened()) as file:
        schema = file.schema_arrow

    def batches(columns: list[str]) -> Iterator[Any]:
        # With a buffer the pages of a column are read one after another, not a row group's at once.
        with parquet.ParquetFile(opened(), buffer_size=1 << 20) as file:
            yield from file.iter_batches(batch_size=_BATCH, columns=columns)

    return _Table("Parquet", schema, dataset_features(schema.metadata), batches)


def arrow_opener(source: Source) -> Callable[[], Any]:
    """What Arrow is to open: the file itself, or the bytes of what is compressed or comes in a stream."""
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as stream:
            start = stream.read(len(_PARQUET))
        if is_parquet(start) or not is_parquet(first_bytes(source)):
            return lambda: os.fspath(source)
    import pyarrow

    data = b"".join(read_chunks(source))
    return lambda: pyarrow.BufferReader(data)


def dataset_features(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    """What `datasets` has written about the columns into the metadata of a file; empty if it has not."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _saved(source: str | os.PathLike[str], name: str) -> _Table:
    """The table of a folder, or of the hub.

    Raises:
        CorpusError: it cannot be read, or has several splits of which none is named.
    """
    datasets = _datasets(f"{name} is a dataset")
    if name.startswith(PREFIX):
        loaded, spelling, split = _from_hub(datasets, name)
    else:
        folder, split = _folder_and_split(source)
        spelling = os.fspath(folder)
        with arrow_faults(name, "no dataset that save_to_disk wrote, or a damaged one"):
            loaded = datasets.load_from_disk(spelling)
    if isinstance(loaded, datasets.DatasetDict):
        loaded = _of_split(loaded, split, spelling, name)
    elif split is not None:
        raise CorpusError(name, None, f"{spelling} has no splits")
    features = loaded.features

    def batches(columns: list[str]) -> Iterator[Any]:
        yield from loaded.select_columns(columns).with_format("arrow").iter(batch_size=_BATCH)

    return _Table("a dataset", features.arrow_schema, features.to_dict(), batches)


def _of_split(splits: dict[str, Any], split: str | None, spelling: str, name: str) -> Any:
    """The named split, or the only one."""
    if split is None and len(splits) == 1:
        return next(iter(splits.values()))
    if split in splits:
        return splits[split]
    known = [f"{spelling}:{each}" for each in splits]
    told = "several splits" if split is None else f"no split {quoted(split)}"
    raise CorpusError(name, None, f"{told}: name one of {listed(known)}")


def _folder_and_split(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """A folder on disk and, if it is named so, its split; not the colon of a Windows drive."""
    folder, colon, split = os.fspath(path).rpartition(":")
    if colon and not Path(path).exists() and Path(folder).is_dir():
        return Path(folder), split
    return Path(path), None


def _from_hub(datasets: Any, name: str) -> tuple[Any, str, str | None]:
    """The dataset of the hub, from the cache if it is there; its name, and the split that is named.

    Raises:
        CorpusError: the name is malformed, or the hub cannot be reached or refuses it.
    """
    dataset, *parts = name.removeprefix(PREFIX).split(":")
    if not _HUB_NAME.fullmatch(dataset) or len(parts) > 2 or not all(parts):
        forms = ("owner/name", "owner/name:split", "owner/name:configuration:split")
        raise CorpusError(name, None, f"expected {', '.join(PREFIX + form for form in forms)}")
    split = parts.pop() if parts else None
    try:
        return datasets.load_dataset(dataset, *parts), PREFIX + ":".join([dataset, *parts]), split
    except Exception as error:  # of this package, the hub's, their HTTP library, or of what reads the files
        told = "cannot be had from the hub or its cache"
        raise CorpusError(name, None, f"{told} ({_reason(error)})") from error


def require_pyarrow(what: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(f"{what}: pip install 'pybert-crf[data]'") from error
    return pyarrow


def _datasets(what: str) -> Any:
    """The package, of a version that runs no code of a dataset."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f"{what}: pip install 'pybert-crf[data]'") from error
    if int(datasets.__version__.partition(".")[0]) < _DATASETS:
        told = f"datasets {datasets.__version__} runs programs that a dataset brings along"
        raise ImportError(f"{what}, and {told}: pip install -U 'pybert-crf[data]'")
    return datasets


_DATASETS = 4  # the first version of `datasets` without programs


@contextmanager
def arrow_faults(name: str, told: str) -> Iterator[None]:
    """Raise what a library says about a file as ``CorpusError``; but not that there is none, or no access."""
    try:
        yield
    except CorpusError:
        raise
    except Exception as error:  # Arrow has its own, and Python's of many kinds
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorpusError(name, None, f"{told} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return shortened(" ".join(str(error).split())) or type(error).__name__


def write_parquet(path: str | os.PathLike[str], sentences: Iterator[Sentence]) -> None:
    """Write the columns ``tokens`` and ``ner_tags``, lists of strings; the file appears whole or not at all.

    Raises:
        ImportError: the extra `data` is not installed.
    """
    arrow = require_pyarrow(f"{os.fspath(path)} is to be Parquet")
    texts = arrow.list_(arrow.string())
    schema = arrow.schema([("tokens", texts), ("ner_tags", texts)])
    with replacing(Path(path)) as temporary, arrow.parquet.ParquetWriter(str(temporary), schema) as writer:
        while rows := list(islice(sentences, _ROW_GROUP)):
            columns = [[row.tokens for row in rows], [row.tags for row in rows]]
            writer.write_batch(arrow.record_batch(columns, schema=schema))
