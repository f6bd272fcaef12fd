"""The parts of a run: several files for one, dev drawn from train, plain tags and words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.evaluation import evaluate_file
from pybert_crf.text.corpora import CorpusError
from pybert_crf.training.corpora import read_corpora

Make = Callable[..., TrainOptions]
SENTENCE = "Mara B-PER\nlives O\nin O\nOslo B-LOC\n\n"


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def read(tmp_path: Path, **given: Any) -> Any:
    given = {"dev": str(tmp_path / "a"), "out": str(tmp_path / "out")} | given
    return read_corpora(TrainOptions(**given))


def test_several_files_are_one_part(tmp_path: Path) -> None:
    first = written(tmp_path / "a", "-DOCSTART- O\n\n" + SENTENCE * 2)
    second = written(tmp_path / "b", "-DOCSTART- O\n\nRome S-LOC\n\nis O\nBig B-X\nOne E-X\n")
    corpora = read(tmp_path, train=(first, second), test=[second, first])
    sentences = corpora.train.sentences
    assert [s.document for s in sentences] == [1, 1, 2, 2]
    assert sentences[3].tags == ["O", "B-X", "I-X"]  # in the first one's scheme
    assert [corpora.train.place(s) for s in sentences] == ["a:3", "a:8", "b:3", "b:5"]
    assert [s.tokens[0] for s in corpora.test.sentences] == ["Rome", "is", "Mara", "Mara"]
    assert any("written in BIOES; it is converted to BIO" in note for note in corpora.train.notes)


def test_sentences_of_a_file_without_documents_are_of_none(tmp_path: Path) -> None:
    first = written(tmp_path / "a", f"-DOCSTART- O\n\n{SENTENCE}-DOCSTART- O\n\n{SENTENCE}")
    second = written(tmp_path / "b", SENTENCE * 2)
    corpora = read(tmp_path, train=(first, second, first))
    assert [s.document for s in corpora.train.sentences] == [1, 2, 0, 0, 3, 4]


def test_faults_of_several_files_name_the_file(tmp_path: Path) -> None:
    first = written(tmp_path / "a", SENTENCE * 9)
    corpora = read(tmp_path, train=(first, written(tmp_path / "b", SENTENCE + "Rome I-LOC\n")))
    assert corpora.mended == ["b:6"]
    assert corpora.train.sentences[-1].tags == ["B-LOC"]
    with pytest.raises(CorpusError, match=r"b:1: plain tags cannot be read as BIO"):
        read(tmp_path, train=(first, written(tmp_path / "b", "a NN\n")))


def test_dev_is_drawn_from_train(tmp_path: Path) -> None:
    text = "".join(SENTENCE.replace("Mara", f"Name{i}") for i in range(50))
    file = written(tmp_path / "a", text)
    drawn = [read(tmp_path, train=file, dev=(), dev_share=0.1, seed=seed) for seed in (1, 1, 2)]
    for corpora in drawn:
        names = [s.tokens[0] for part in (corpora.train, corpora.dev) for s in part.sentences]
        assert sorted(names) == sorted(f"Name{i}" for i in range(50))
        assert len(corpora.dev.sentences) == 5
    assert drawn[0].dev.sentences == drawn[1].dev.sentences != drawn[2].dev.sentences
    assert drawn[0].dev.notes == ("dev: 5 of 50 sentences of train, drawn by seed 1",)


def test_dev_is_drawn_by_document(tmp_path: Path) -> None:
    text = "".join(f"-DOCSTART- O\n\n{SENTENCE * 3}" for _ in range(10))
    corpora = read(tmp_path, train=written(tmp_path / "a", text), dev=(), dev_share=0.15)
    held = {s.document for s in corpora.dev.sentences}
    assert len(held) == 2
    assert held.isdisjoint(s.document for s in corpora.train.sentences)
    assert "2 of 10 documents" in corpora.dev.notes[0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"dev": ()}, "missing: dev, .* or dev_share"),
        ({"dev": "a", "dev_share": 0.1}, "exclude each other"),
        ({"dev": "a", "train": ()}, "missing: train, the corpus to learn from"),
        ({"dev": (), "dev_share": 1.0}, "dev_share must be in"),
    ],
)
def test_wrong_parts_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TrainOptions(**({"train": "a", "out": "b"} | given))


def test_one_sentence_cannot_be_shared(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="one sentence cannot be shared"):
        read(tmp_path, train=written(tmp_path / "a", SENTENCE), dev=(), dev_share=0.5)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger that was trained on word-segmented text."""
    folder = tmp_path_factory.mktemp("words")
    text = "林小雨 在 青河市 工作 。\n今天 休息 。\n他们 在 人民医院 工作 。\n" * 8
    train(
        TrainOptions(
            written(folder / "train.seg", text),
            written(folder / "dev.seg", "林小雨 在 人民医院 休息 。\n云岭市 今天 休息 。\n"),
            str(folder / "out"),
            model="tiny",
            epochs=6,
            batch_tokens=64,
            min_count=1,
            learning_rate=3e-3,
        )
    )
    return folder


def test_words_are_segmented(segmenter: Path) -> None:
    tagger = Tagger.from_pretrained(segmenter / "out")
    assert tagger.model.labels == ("B", "E", "M", "S")  # no O where none occurs
    assert {"林小雨", "人民医院", "。"} < tagger.words
    found = tagger("他们在青河市工作。")
    assert {entity.label for entity in found} == {"word"}
    assert "".join(entity.text for entity in found) == "他们在青河市工作。"
    report = evaluate_file(tagger, segmenter / "dev.seg")
    assert list(report.conlleval.types) == ["word"]
    assert report.unseen is not None
    assert report.unseen[0] == 1  # 云岭市
    assert report.unseen_recall in (0.0, 1.0)
    metrics = json.loads((segmenter / "out" / "metrics.json").read_text("utf-8"))
    assert metrics["dev"]["unseen"] == list(report.unseen)


def test_labels_that_the_tagger_does_not_know_are_said(segmenter: Path, tmp_path: Path) -> None:
    said: list[str] = []
    file = written(tmp_path / "b", "林 B-PER\n小 M-PER\n雨 E-PER\n")
    evaluate_file(Tagger.from_pretrained(segmenter / "out"), file, say=said.append)
    assert any(
        "tags that the tagger does not know" in note and "B-PER, E-PER, M-PER" in note for note in said
    )


def test_plain_tags_are_trained_and_found(tmp_path: Path) -> None:
    text = "the DET\ndog NOUN\nsees VERB\nher PRON\n\nshe PRON\nsees VERB\nthe DET\ncat NOUN\n\n" * 8
    given = written(tmp_path / "a", text)
    done = train(
        TrainOptions(
            given, given, str(tmp_path / "out"), model="tiny", epochs=8, batch_tokens=64, min_count=1
        )
    )
    assert done.dev.scheme == "none"
    assert done.dev.f1 > 0.9  # the accuracy
    tagger = Tagger.from_pretrained(tmp_path / "out")
    assert tagger.scheme == "none"
    assert [(entity.text, entity.label) for entity in tagger("she sees the dog")][1] == ("sees", "VERB")
    assert "| accuracy |" in (tmp_path / "out" / "README.md").read_text("utf-8")
    again = train(
        TrainOptions(
            given, given, str(tmp_path / "on"), model=str(tmp_path / "out"), epochs=1, batch_tokens=64
        )
    )
    assert again.dev.scheme == "none"


def test_the_cut_of_raw_text_is_kept(tmp_path: Path) -> None:
    given = written(tmp_path / "a", "a,b B-X\nc O\n\nd,e B-X\n\nf O\n\n" * 4)
    train(TrainOptions(given, given, str(tmp_path / "out"), model="tiny", epochs=1, min_count=1))
    assert Tagger.from_pretrained(tmp_path / "out").cut_alike == pytest.approx(1 / 3)
