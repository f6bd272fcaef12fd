"""Writing an exported tagger: the file itself, and the tokenizer's files beside it."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

import pybert_crf
from pybert_crf.annotation.annotator import WORDS
from pybert_crf.annotation.exported import FORMAT, file_digest
from pybert_crf.export.archive import write_archive
from pybert_crf.export.onnx_file import write_onnx
from pybert_crf.files import replacing
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tokenizer import UnitTokenizer

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
"""The formats, and how their files end."""


class Exported(NamedTuple):
    """What was written: the model, its size in bytes, and the names of the files beside it."""

    model: Path
    size: int
    beside: list[str]


def export_tagger(
    tagger: Tagger,
    out: str | Path,
    format: str = "onnx",
    *,
    int8: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda note: None,
) -> Exported:
    """Write `tagger` as one file for another runtime, after a check that it computes the same.

    Args:
        out: the file (``*.onnx``, ``*.pt2``), or a directory in which it is called ``model``.
        format: ``"onnx"``, or ``"torch"`` for an archive of ``torch.export``.
        int8: of ONNX, compute the linear layers of the encoder with 8-bit integers.
        overwrite: whether files that are there may be replaced.
        say: is told in one line what the check found.

    Raises:
        ValueError: the format cannot express the encoder, names the reason; or does not know int8.
        FileExistsError: a file is there already, of another content.
        ImportError: a package that writes the format is not installed.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if int8 and format != "onnx":
        raise ValueError(f"int8 is for the format onnx, not {format}")
    if tagger.int8:
        raise ValueError("a quantised tagger cannot be exported: open it again, and export that")
    path = _file(Path(out), FORMATS[format])
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already: --overwrite replaces it")
    model = copy.deepcopy(tagger.model).to("cpu", torch.float32)
    tagger = Tagger(
        model,
        tagger.tokenizer,
        tagger.unit,
        cut_alike=tagger.cut_alike,
        words=tagger.words,
        temperature=tagger.temperature,
        context=tagger.context,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        names = _write_beside(tagger, Path(folder), path.parent, overwrite)
        digests = {name: file_digest(Path(folder) / name) for name in names}
        own = _settings(tagger, digests, "int8" if int8 else "float32")
        with replacing(path) as temporary:
            if format == "onnx":
                write_onnx(tagger, temporary, own, int8, say)
            else:
                write_archive(tagger, temporary, own, say)
            for name in names:
                with replacing(path.parent / name) as beside:
                    shutil.copyfile(Path(folder) / name, beside)
    return Exported(path, path.stat().st_size, names)


def _file(out: Path, ending: str) -> Path:
    if out.suffix == ending:
        return out
    if out.suffix in FORMATS.values():
        raise ValueError(f"{out}: the name of a file of this format ends in {ending}")
    if out.is_file():
        raise FileExistsError(f"{out} is a file: give a directory, or a name that ends in {ending}")
    return out / f"model{ending}"


def _write_beside(tagger: Tagger, folder: Path, target: Path, overwrite: bool) -> list[str]:
    """Write the tokenizer's files, and a segmenter's words, into `folder`; their names.

    Raises:
        FileExistsError: `target` has one of another content.
        ValueError: the files do not determine the tokenizer without the model's configuration.
    """
    tagger.tokenizer.save(folder)
    again = UnitTokenizer.from_directory(folder, tagger.unit)
    for name in ("before", "after", "pad_id", "unk_id", "vocab_size"):
        if getattr(again, name) != getattr(tagger.tokenizer, name):
            raise ValueError(f"the tokenizer's files alone do not tell its {name}: it cannot be exported")
    if tagger.words:
        (folder / WORDS).write_text("".join(f"{word}\n" for word in sorted(tagger.words)), encoding="utf-8")
    names = sorted(each.name for each in folder.iterdir())
    for name in names:
        there = target / name
        if there.exists() and not overwrite and file_digest(there) != file_digest(folder / name):
            raise FileExistsError(
                f"{there} is of another tagger: export into a directory of its own, or --overwrite it"
            )
    return names


def _settings(tagger: Tagger, digests: dict[str, str], precision: str) -> dict[str, Any]:
    """What a reader needs to know; see `pybert_crf.annotation.exported.read_settings`."""
    return {
        "format": FORMAT,
        "version": pybert_crf.__version__,
        "labels": list(tagger.labels),
        "scheme": tagger.scheme,
        "unit": tagger.unit,
        "max_length": tagger.layout.max_positions,
        "before": tagger.layout.before,
        "after": tagger.layout.after,
        "pad": tagger.layout.pad_id,
        "overlap": tagger.layout.overlap,
        "cut_alike": tagger.cut_alike,
        "temperature": tagger.temperature,
        "context": tagger.context,
        "precision": precision,
        "files": digests,
    }
