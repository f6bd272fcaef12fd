"""What an exported tagger finds is what the tagger finds: entities, offsets, scores, in long texts too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from export_cases import KINDS, check_equal, texts_of

from pybert_crf.annotation import exported as reading
from pybert_crf.annotation.exported import ExportedTagger
from pybert_crf.annotation.rules import Rules
from pybert_crf.export import export_tagger
from pybert_crf.onnx_tagger import OnnxTagger
from pybert_crf.reading import ConfigError
from pybert_crf.taggers.archive_tagger import ArchiveTagger
from pybert_crf.taggers.tagger import Tagger

pytest.importorskip("onnxscript", reason="the package onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

Export = Callable[[str, str], tuple[Tagger, Path]]
READERS: dict[str, type[ExportedTagger]] = {"onnx": OnnxTagger, "torch": ArchiveTagger}

QUICK = {("characters", "onnx"), ("characters", "torch"), ("words", "onnx")}  # what other tests export too


def opened(format: str, out: Path) -> ExportedTagger:
    reader: Any = READERS[format]
    tagger: ExportedTagger = reader(out)
    return tagger


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        pytest.param(kind, format, marks=() if (kind, format) in QUICK else pytest.mark.slow)
        for kind, format in product(KINDS, READERS)
    ],
)
def test_the_same_entities(exported: Export, kind: str, format: str) -> None:
    tagger, out = exported(kind, format)
    reader = opened(format, out)
    assert (reader.labels, reader.scheme, reader.unit) == (tagger.labels, tagger.scheme, tagger.unit)
    assert reader.layout == tagger.layout
    assert check_equal(tagger, reader, texts_of(tagger.unit)) > 100


@pytest.mark.parametrize("format", READERS)
def test_windows_of_a_long_text_are_encoded_some_at_a_time(
    exported: Export, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger, out = exported("characters", format)
    monkeypatch.setattr(reading, "POSITIONS", 100)  # of windows of 40: two at a time
    assert check_equal(tagger, opened(format, out), texts_of("char")) > 100


@pytest.mark.parametrize("format", READERS)
def test_rules_and_the_least_score(exported: Export, format: str) -> None:
    tagger, out = exported("characters", format)
    reader = opened(format, out)
    rules = Rules(must={"LOC": ["北京", "三"]}, never={"PER": ["张"]})
    try:
        reader.rules = tagger.rules = rules
        assert check_equal(tagger, reader, texts_of("char")) > 100
        reader.min_score = tagger.min_score = 0.5
        assert check_equal(tagger, reader, texts_of("char")) > 20
    finally:
        tagger.rules, tagger.min_score = None, 0.0


def test_tags_of_given_units(exported: Export) -> None:
    tagger, out = exported("words", "onnx")
    units = [text.split() for text in texts_of("word")]
    expected = [tagging.tags for tagging in tagger.tag_units(units, scores=False)]
    answers = list(OnnxTagger(out).tag_units(units, scores=False))
    assert [tagging.tags for tagging in answers] == expected
    assert not any(tagging.scores for tagging in answers)


@pytest.mark.parametrize("format", READERS)
def test_sentences_in_their_documents(exported: Export, format: str, tmp_path: Path) -> None:
    tagger, _ = exported("characters", format)
    documents = [["张三在北京", "", "工作", "在北京工作" * 9], ["三张"]]
    try:
        tagger.context = 6
        export_tagger(tagger, tmp_path, format)
        reader = opened(format, tmp_path)
        assert reader.context == 6
        expected = list(tagger.annotate_documents(documents))
        for own, theirs in zip(expected, reader.annotate_documents(documents), strict=True):
            assert [each.tags for each in own] == [each.tags for each in theirs]
            for one, other in zip(own, theirs, strict=True):
                scores = [entity.score for entity in other.entities]
                assert [entity.score for entity in one.entities] == pytest.approx(scores, abs=1e-4)
    finally:
        tagger.context = 0


def test_reading_onnx_needs_no_torch(exported: Export) -> None:
    tagger, out = exported("characters", "onnx")
    code = (
        "import sys, json; sys.modules['torch'] = None\n"
        "from pybert_crf.onnx_tagger import OnnxTagger\n"
        "tagger = OnnxTagger(sys.argv[1], threads=1)\n"
        "print(json.dumps([entity.to_dict() for entity in tagger('张三在北京工作')]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=True)
    expected = [entity.to_dict() for entity in tagger("张三在北京工作")]
    assert len(expected) > 1
    got = json.loads(done.stdout)
    for one, other in zip(got, expected, strict=True):
        assert one == {**other, "score": pytest.approx(other["score"], abs=1e-5)}


def copied(out: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "copy"))


def test_another_taggers_tokenizer_is_refused(exported: Export, tmp_path: Path) -> None:
    copy = copied(exported("characters", "onnx")[1], tmp_path)
    other = exported("words", "onnx")[1]
    shutil.copyfile(other / "tokenizer.json", copy / "tokenizer.json")
    with pytest.raises(ConfigError, match=r"tokenizer\.json is of another tagger than the model"):
        OnnxTagger(copy)


@pytest.mark.parametrize("format", READERS)
def test_what_is_no_exported_tagger_is_refused(exported: Export, tmp_path: Path, format: str) -> None:
    copy = copied(exported("characters", format)[1], tmp_path)
    (model,) = (path for path in copy.iterdir() if path.suffix in (".onnx", ".pt2"))
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="cannot open it"):
        opened(format, copy)
    model.unlink()
    with pytest.raises(FileNotFoundError, match=model.name):
        opened(format, copy)


def test_an_onnx_file_without_settings_is_refused(tmp_path: Path) -> None:
    from pybert_crf.crf import CRF
    from pybert_crf.crf.onnx import export_viterbi

    export_viterbi(CRF(3), tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="no exported tagger: make one with pybert-crf export"):
        OnnxTagger(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "format is 2, but this version"),
        ({"labels": []}, "labels is"),
        ({"scheme": "BOI"}, "scheme is"),
        ({"unit": 3}, "unit is 3"),
        ({"max_length": True}, "max_length is True"),
        ({"cut_alike": None}, "cut_alike is None"),
        ({"files": []}, "files is"),
    ],
)
def test_settings_are_checked(change: dict[str, Any], told: str) -> None:
    good = {"format": 1, "labels": ["O"], "scheme": "BIO", "unit": "char", "max_length": 40}
    good |= {"cut_alike": 1.0, "files": {}}
    assert reading.read_settings(json.dumps(good), Path("a.onnx")) == good
    with pytest.raises(ConfigError, match=told):
        reading.read_settings(json.dumps(good | change), Path("a.onnx"))
