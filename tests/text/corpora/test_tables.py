"""Parquet, saved folders of `datasets` and the hub: read right, in a stream, or refused with name and row."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.corpora import Corpus, CorpusError, Habits, Sentence, read_corpus, write_columns
from pybert_crf.text.corpora.conversion import format_of, write_corpus
from pybert_crf.text.corpora.formats import tables

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

TOKENS = [["Mara", "lives", "here"], ["Oslo"]]
TAGS = [["B-PER", "O", "O"], ["B-LOC"]]
NAMES = ["O", "B-PER", "B-LOC"]
NUMBERS = [[1, 0, 0], [2]]


def parquet(folder: Path, columns: dict[str, Any], features: Any = None) -> Path:
    table = pa.table(columns)
    if features is not None:
        told = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": told})
    pq.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


def pairs(corpus: Corpus) -> list[tuple[list[str], list[str]]]:
    return [(sentence.tokens, sentence.tags) for sentence in corpus.sentences]


EXPECTED = list(zip(TOKENS, TAGS, strict=True))


def test_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"id": ["a", "b"], "tokens": TOKENS, "pos_tags": NUMBERS, "ner_tags": TAGS})
    corpus = read_corpus(path)
    assert pairs(corpus) == EXPECTED
    assert corpus.notes == (f"{path}: Parquet, columns tokens, ner_tags, lists of tokens and tags",)
    assert [sentence.line for sentence in corpus.sentences] == [1, 2]


@pytest.mark.parametrize("kind", ["List", "Sequence", "LargeList", "old"])
def test_names_of_classes(tmp_path: Path, kind: str) -> None:
    label = {"names": NAMES, "_type": "ClassLabel"}
    feature = [label] if kind == "old" else {"feature": label, "length": -1, "_type": kind}
    path = parquet(tmp_path, {"tokens": TOKENS, "ner_tags": NUMBERS}, {"ner_tags": feature})
    assert pairs(read_corpus(path)) == EXPECTED
    other = read_corpus(path, habits=Habits(labels="O,B-A,B-B"))
    assert other.sentences[1].tags == ["B-B"]


@pytest.mark.parametrize("features", [None, {}, [], {"ner_tags": {"names": 3, "_type": "ClassLabel"}}])
def test_numbers_without_names(tmp_path: Path, features: Any) -> None:
    path = parquet(tmp_path, {"tokens": TOKENS, "ner_tags": NUMBERS}, features)
    with pytest.raises(CorpusError, match=r"a\.parquet:1: the tag 1 has no name: --labels"):
        read_corpus(path)
    assert pairs(read_corpus(path, habits=Habits(labels=",".join(NAMES)))) == EXPECTED


def test_columns_that_options_name(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"satz": TOKENS, "pos": [["NOUN", "VERB", "ADV"], ["NOUN"]], "ner_tags": TAGS})
    with pytest.raises(CorpusError, match="no columns of tokens and tags, or of a text and entities, among"):
        read_corpus(path)
    assert pairs(read_corpus(path, habits=Habits(token_column="satz"))) == EXPECTED
    corpus = read_corpus(path, habits=Habits(token_column="1", tag_column="pos", scheme="none"))
    assert corpus.sentences[0].tags == ["NOUN", "VERB", "ADV"]
    with pytest.raises(CorpusError, match=r"--tag-column 9: the table has no such column; there are satz, p"):
        read_corpus(path, habits=Habits(token_column="satz", tag_column="9"))


SPANS = [[{"start": 0, "end": 4, "label": 1}], []]


@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("column", ["entities", "what"])
def test_texts_with_entities(tmp_path: Path, as_lists: bool, column: str) -> None:
    entities: list[Any] = SPANS
    if as_lists:
        entities = [{key: [e[key] for e in each] for key in ("start", "end", "label")} for each in SPANS]
    texts = {"text": ["Mara lives here", "Oslo"], column: entities}
    label = {"names": ["LOC", "PER"], "_type": "ClassLabel"}
    inner: Any = {"start": {"dtype": "int64"}, "label": label}
    features = {column: {"feature": inner, "_type": "Sequence"} if as_lists else [inner]}
    corpus = read_corpus(parquet(tmp_path, texts, features), habits=Habits(tag_column=column))
    assert pairs(corpus) == [(TOKENS[0], TAGS[0]), (["Oslo"], ["O"])]
    assert corpus.sentences[0].text == "Mara lives here"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"tokens": TOKENS, "ner_tags": [["O"], ["O"]]}, r"a\.parquet:1: 3 tokens and 1 tags"),
        ({"tokens": [["a"], ["b", None]], "tags": [["O"], ["O", "O"]]}, r"a\.parquet:2: a token is empty"),
        ({"tokens": [["a"], None], "tags": [["O"], ["O"]]}, r"a\.parquet:\d: neither tokens and tags nor"),
        ({"text": ["ab"], "entities": [[{"start": 0, "end": 3, "label": "X"}]]}, r"a\.parquet:1: no span"),
        (
            {"tokens": pa.array([], pa.list_(pa.string())), "tags": pa.array([], pa.list_(pa.string()))},
            "no s",
        ),
    ],
)
def test_faults_of_rows(tmp_path: Path, columns: dict[str, Any], told: str) -> None:
    with pytest.raises(CorpusError, match=told):
        read_corpus(parquet(tmp_path, columns))


def test_damaged_files(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"tokens": TOKENS * 50, "ner_tags": TAGS * 50})
    whole = path.read_bytes()
    for stop in range(5, len(whole), 37):
        path.write_bytes(whole[:stop])
        with pytest.raises(CorpusError, match=r"a\.parquet: damaged, or no Parquet \("):
            read_corpus(path)
    for at in range(5, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            read_corpus(path)
        except CorpusError as error:
            assert str(path) in str(error)  # noqa: PT017 (some bytes do no harm)


def test_what_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("PAR1\tO\nb\tB-X\n")
    assert read_corpus(tmp_path / "a").sentences[0].tokens == ["PAR1", "b"]
    with pytest.raises(CorpusError, match="a: damaged, or no Parquet"):
        read_corpus(tmp_path / "a", habits=Habits(format="datasets"))
    with pytest.raises(FileNotFoundError):
        read_corpus(tmp_path / "b", habits=Habits(format="datasets"))


def test_standard_input_and_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet(tmp_path, {"tokens": TOKENS, "ner_tags": TAGS}).read_bytes()
    (tmp_path / "a.gz").write_bytes(gzip.compress(data))
    assert pairs(read_corpus(tmp_path / "a.gz")) == EXPECTED
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert pairs(read_corpus("-")) == EXPECTED


def test_no_more_than_a_batch_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path, {"tokens": TOKENS * 2500, "ner_tags": TAGS * 2500})
    sizes = []
    named = tables._named
    monkeypatch.setattr(tables, "_BATCH", 100)
    monkeypatch.setattr(
        tables, "_named", lambda *each: sizes.append(pa.total_allocated_bytes()) or named(*each)
    )
    before = pa.total_allocated_bytes()
    assert len(read_corpus(path).sentences) == 5000
    whole = pq.read_table(path).nbytes
    assert max(sizes) - before < whole / 2


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path, {"tokens": TOKENS, "ner_tags": TAGS})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    extra = r": pip install 'pybert-crf\[data\]'$"
    with pytest.raises(ImportError, match=r"a\.parquet is Parquet" + extra):
        read_corpus(path)
    with pytest.raises(ImportError, match=r"^datasets:a/b is a dataset" + extra):
        read_corpus("datasets:a/b")
    write_columns(tmp_path / "c", [Sentence(["a"], ["B-X"])])
    with pytest.raises(ImportError, match=r"b\.parquet is to be Parquet" + extra):
        write_corpus(read_corpus(tmp_path / "c"), tmp_path / "b.parquet", "parquet")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.parquet", "c"]


_TOKEN = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=5)


@given(
    st.lists(
        st.lists(st.tuples(_TOKEN, st.sampled_from(["O", "B-X", "B-Y z".replace(" ", "-")])), min_size=1)
    )
)
def test_columns_to_parquet_and_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[tuple[str, str]]]
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    rows = [*rows, [("a", "B-X")]]
    write_columns(folder / "a", [Sentence([t for t, _ in row], [t for _, t in row]) for row in rows])
    first = read_corpus(folder / "a")
    assert write_corpus(first, folder / "b", "parquet").losses == []
    assert pq.read_schema(folder / "b").names == ["tokens", "ner_tags"]
    second = read_corpus(folder / "b")
    assert pairs(first) == pairs(second)
    assert write_corpus(second, folder / "c", "columns").losses == []
    assert (folder / "a").read_bytes() == (folder / "c").read_bytes()


def test_the_name_says_parquet() -> None:
    assert format_of("a.Parquet") == "parquet"


def test_a_fault_leaves_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a O\n\nOslo B-LOC\nBergen B-LOC\n")
    with pytest.raises(CorpusError, match=r"a:4: two adjacent entities"):
        write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b.parquet", "parquet", "IO")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.fixture
def datasets() -> ModuleType:
    module: ModuleType = pytest.importorskip("datasets", reason="datasets is not installed")
    module.disable_progress_bars()
    return module


@pytest.fixture
def dataset(datasets: Any) -> Any:
    label = datasets.ClassLabel(names=NAMES)
    text = datasets.Value("string")
    features = datasets.Features({"tokens": datasets.Sequence(text), "ner_tags": datasets.Sequence(label)})
    return datasets.Dataset.from_dict({"tokens": TOKENS, "ner_tags": NUMBERS}, features)


def test_a_saved_folder(tmp_path: Path, dataset: Any) -> None:
    dataset.save_to_disk(tmp_path / "a")
    assert pairs(read_corpus(tmp_path / "a")) == EXPECTED
    with pytest.raises(CorpusError, match=r"a:train: .*a has no splits"):
        read_corpus(f"{tmp_path / 'a'}:train")
    dataset.to_parquet(tmp_path / "b.parquet")
    assert pairs(read_corpus(tmp_path / "b.parquet")) == EXPECTED


def test_splits_of_a_folder(tmp_path: Path, datasets: Any, dataset: Any) -> None:
    folder = tmp_path / "a:b"
    datasets.DatasetDict({"train": dataset, "test": dataset.select([1])}).save_to_disk(folder)
    assert pairs(read_corpus(f"{folder}:train")) == EXPECTED
    assert pairs(read_corpus(f"{folder}:test")) == EXPECTED[1:]
    for path, told in ((folder, "several splits"), (f"{folder}:dev", "no split 'dev'")):
        with pytest.raises(CorpusError, match=rf"{told}: name one of .*a:b:train, .*a:b:test$"):
            read_corpus(path)
    datasets.DatasetDict({"train": dataset}).save_to_disk(tmp_path / "c")
    assert pairs(read_corpus(tmp_path / "c")) == EXPECTED


def test_a_damaged_folder(tmp_path: Path, dataset: Any) -> None:
    dataset.save_to_disk(tmp_path / "a")
    (data,) = (tmp_path / "a").glob("*.arrow")
    whole = data.read_bytes()
    for damaged in (whole[:100], whole[: len(whole) // 2], b"", bytes(len(whole))):
        data.write_bytes(damaged)
        with pytest.raises(CorpusError, match=r"a: "):
            read_corpus(tmp_path / "a")
    (tmp_path / "a" / "state.json").unlink()
    with pytest.raises(CorpusError, match=r"a: no dataset that save_to_disk wrote, or a damaged one \("):
        read_corpus(tmp_path / "a")


def test_the_hub(datasets: Any, dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(*names: str) -> Any:
        asked.append(names)
        return datasets.DatasetDict({"train": dataset, "test": dataset.select([1])})

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert pairs(read_corpus("datasets:owner/name:train")) == EXPECTED
    assert pairs(read_corpus("datasets:owner/name:de:test")) == EXPECTED[1:]
    assert {*asked} == {("owner/name",), ("owner/name", "de")}
    with pytest.raises(
        CorpusError, match=r"several splits: name one of datasets:owner/name:train, datasets:"
    ):
        read_corpus("datasets:owner/name")
    with pytest.raises(CorpusError, match="name one of datasets:owner/name:de:train"):
        read_corpus("datasets:owner/name:de:dev")


@pytest.mark.parametrize(
    "name", ["datasets:", "datasets:a/b/c", "datasets:../a", "datasets:a:b:c:d", "datasets:a:"]
)
def test_malformed_names(datasets: Any, name: str) -> None:
    with pytest.raises(CorpusError, match=r"expected datasets:owner/name, datasets:owner/name:split, "):
        read_corpus(name)


def test_a_hub_that_cannot_be_reached(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        CorpusError, match=r"^datasets:owner/name: cannot be had from the hub or its cache \("
    ) as told:
        read_corpus("datasets:owner/name")
    assert "\n" not in str(told.value)


def test_a_version_that_runs_programs_is_refused(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "__version__", "3.6.0")
    with pytest.raises(
        ImportError, match=r"datasets 3\.6\.0 runs programs .*: pip install -U 'pybert-crf\[data\]'"
    ):
        read_corpus("datasets:owner/name")
