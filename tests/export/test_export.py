"""Writing an exported tagger: names, files that are there, atomicity, errors, int8, the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from export_cases import BIO, KINDS, tagger_of, texts_of

from pybert_crf import cli
from pybert_crf.annotation.exported import INPUTS, OUTPUTS
from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.export import export_tagger, onnx_file
from pybert_crf.export.onnx_file import _encoder
from pybert_crf.onnx_tagger import OnnxTagger
from pybert_crf.taggers.tagger import Tagger

pytest.importorskip("onnxscript", reason="the package onnxscript is not installed")
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

Export = Callable[..., tuple[Tagger, Path]]
Run = Callable[..., tuple[int, str, str]]


@cache
def exported_encoder() -> bytes:
    encoder: bytes = _encoder(tagger_of(*KINDS["characters"]).model).SerializeToString()
    return encoder


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch) -> Tagger:
    """A tagger whose encoder is exported once for all tests, as that takes longest."""
    monkeypatch.setattr(onnx_file, "_encoder", lambda _: onnx.load_from_string(exported_encoder()))
    return tagger_of(*KINDS["characters"])


def test_one_file_and_the_tokenizers_beside_it(tagger: Tagger, tmp_path: Path) -> None:
    export_tagger(tagger, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["model.onnx", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    own = json.loads(session.get_modelmeta().custom_metadata_map["pybert_crf"])
    assert (own["labels"], own["max_length"]) == (BIO, 40)
    assert (own["unit"], own["scheme"], own["precision"]) == ("char", "BIO", "float32")
    assert {each.name for each in session.get_inputs()} == set(INPUTS)
    assert [each.name for each in session.get_outputs()] == list(OUTPUTS)


def test_the_words_of_a_segmenter_go_along(tagger: Tagger, tmp_path: Path) -> None:
    tagger.words = frozenset({"北京", "工作"})
    done = export_tagger(tagger, tmp_path / "seg.onnx")
    assert done.model == tmp_path / "seg.onnx"
    assert "words.txt" in done.beside
    assert OnnxTagger(tmp_path / "seg.onnx").words == tagger.words


def test_nothing_is_overwritten_unasked(tagger: Tagger, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(FileExistsError, match=r"model\.onnx is there already: --overwrite"):
        export_tagger(tagger, tmp_path)
    (tmp_path / "vocab.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"vocab\.txt is of another tagger"):
        export_tagger(tagger, tmp_path / "b.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "vocab.txt"]
    with pytest.raises(FileExistsError, match="is a file: give a directory"):
        export_tagger(tagger, tmp_path / "vocab.txt")
    export_tagger(tagger, tmp_path, overwrite=True)
    assert OnnxTagger(tmp_path).labels == tuple(BIO)


def test_after_an_error_nothing_is_left(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(onnx_file, "_with_crf", fail)
        with pytest.raises(OSError, match="no space"):
            export_tagger(tagger, tmp_path)
    monkeypatch.setattr(onnx_file, "_TOLERANCE", -1.0)
    with pytest.raises(ValueError, match="type 'bert' computes something else in ONNX: emissions differ by"):
        export_tagger(tagger, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments(tagger: Tagger, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format must be one of onnx, torch"):
        export_tagger(tagger, tmp_path, "tflite")
    with pytest.raises(ValueError, match="int8 is for the format onnx, not torch"):
        export_tagger(tagger, tmp_path, "torch", int8=True)
    with pytest.raises(ValueError, match=r"ends in \.onnx"):
        export_tagger(tagger, tmp_path / "model.pt2")


def test_what_is_missing_is_named(tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(ImportError, match=r"needs the package onnxscript.*'pybert-crf\[onnx\]'"):
        export_tagger(tagger, tmp_path)


def test_int8(tmp_path: Path) -> None:
    """Linear layers are quantised: a smaller file, emissions close to those of float32."""
    said: list[str] = []
    encoder = Encoder(EncoderConfig(100, 64, 1, 4, 256, max_positions=40)).eval()
    tagger = tagger_of("char", BIO, "BIO", encoder)
    small = export_tagger(tagger, tmp_path, int8=True, say=said.append)
    assert (
        small.size < 3 * sum(each.numel() for each in tagger.model.parameters()) + 60_000
    )  # the CRF's graph
    (told,) = [each for each in said if each.startswith("int8: ")]
    assert 0.0 < float(told.split()[4]) < 0.1
    operators = {node.op_type for node in onnx.load(small.model).graph.node}
    assert "MatMulInteger" in operators
    texts = texts_of("char")
    pairs = list(zip(tagger.tag(texts), OnnxTagger(tmp_path).tag(texts), strict=True))
    common = sum(len({e.start for e in a} & {e.start for e in b}) for a, b in pairs)
    assert common > 0.9 * sum(len(a) for a, _ in pairs) > 100


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process; status, output and errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pybert-crf", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0), *capfd.readouterr()

    return call


def test_the_command_line(run: Run, tagger: Tagger, tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path / "tagger")
    text = tmp_path / "text.txt"
    text.write_text("张三在北京工作\n李四\n", encoding="utf-8")
    status, printed, errors = run("export", tmp_path / "tagger", tmp_path / "out")
    assert status == 0, errors
    assert "checked: emissions differ" in printed
    answers = []
    for model in ("tagger", "out", "out/model.onnx"):
        status, printed, errors = run("predict", tmp_path / model, text)
        assert status == 0, errors
        lines = [json.loads(line) for line in printed.splitlines()]
        answers.append([[(e["start"], e["end"], e["label"]) for e in line["entities"]] for line in lines])
    assert answers[0] == answers[1] == answers[2] != [[], []]
    status, _, errors = run("predict", tmp_path / "out", text, "--device", "cuda")
    assert status == 1
    assert errors == f"error: {tmp_path / 'out'} is an exported tagger, for which --device must be cpu\n"
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("张 B-PER\n三 I-PER\n", encoding="utf-8")
    status, printed, errors = run("evaluate", tmp_path / "out", corpus)
    assert status == 0, errors
    assert "conlleval" in printed


def test_an_encoder_is_no_tagger(run: Run, tmp_path: Path) -> None:
    Encoder(EncoderConfig(20, 12, 1, 3, 20)).save_pretrained(tmp_path)
    status, _, errors = run("export", tmp_path, tmp_path / "out")
    assert status == 1
    assert "holds an encoder, not a saved tagger" in errors
    assert not (tmp_path / "out").exists()
