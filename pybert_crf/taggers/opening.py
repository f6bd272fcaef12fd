"""A tagger, saved or exported, opened as the options of a verb say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pybert_crf.options.groups.rules import RuleOptions
from pybert_crf.options.inference import ComputeOptions, PredictOptions
from pybert_crf.taggers.heap import keep_memory

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator
    from pybert_crf.annotation.rules import Rules


def open_tagger(model: str, options: ComputeOptions, *, threads: int = 0) -> Annotator:
    """The tagger of a directory, hub name or exported file, on its device; one in ONNX opens without torch.

    `threads` compute a batch, in the thread of the call and those that call `limit_threads`; 0: as usual.

    Raises:
        ValueError: an exported tagger in another dtype than its own, or on another device than the CPU.
        FileNotFoundError, ConfigError, CheckpointError: as `Tagger.from_pretrained`.
    """
    keep_memory()
    kind = _exported(Path(model))
    if kind is None:
        from pybert_crf.model import DTYPES
        from pybert_crf.taggers.tagger import Tagger

        dtype = None if options.dtype is None else DTYPES[options.dtype]
        limit_threads(threads)
        tagger = Tagger.from_pretrained(model, device=options.device, dtype=dtype)
        return tagger.quantise() if options.int8 else tagger
    if options.device != "cpu":
        raise ValueError(f"{model} is an exported tagger, for which --device must be cpu")
    if options.int8:
        raise ValueError(f"{model} is an exported tagger: --int8 is for export")
    if options.dtype is not None:
        raise ValueError(f"{model} is an exported tagger, whose dtype is fixed: leave out --dtype")
    if kind == ".onnx":
        from pybert_crf.onnx_tagger import OnnxTagger

        return OnnxTagger(model, threads=threads)
    from pybert_crf.taggers.archive_tagger import ArchiveTagger

    limit_threads(threads)
    return ArchiveTagger(model)


def limit_threads(threads: int) -> None:
    """Let torch, if it is imported, compute with these many threads in the calling one; 0: as usual."""
    torch = sys.modules.get("torch")
    if torch is not None and threads:
        torch.set_num_threads(threads)


def _exported(path: Path) -> str | None:
    """How the exported tagger's file ends; None of a saved tagger."""
    if path.suffix in (".onnx", ".pt2"):
        return path.suffix
    if (path / "config.json").exists():
        return None
    return next((end for end in (".onnx", ".pt2") if (path / f"model{end}").is_file()), None)


def tagger_place(model: str) -> Path:
    """The directory of a saved tagger, or the directory or file of an exported one; from the hub if need be.

    Raises:
        FileNotFoundError: it is missing.
    """
    path = Path(model)
    if _exported(path) is not None:
        return path
    from pybert_crf.encoders import resolve

    return resolve(model)


def prepared_tagger(options: PredictOptions, rules: Rules | None) -> Annotator:
    """The tagger of `open_tagger`, with context, least score and splitting of the options, and rules.

    Raises:
        ValueError: they do not fit the tagger.
    """
    tagger = open_tagger(options.model, options)
    if options.context is not None:
        tagger.context = options.context
    tagger.min_score = options.min_score
    tagger.rules = rules
    tagger.split_sentences = options.split_sentences
    return tagger


def given_rules(options: RuleOptions) -> Rules | None:
    """The rules that options give: of a file, and the types that may be found.

    Raises:
        FileNotFoundError, ConfigError: the file is missing, or holds no rules.
    """
    from pybert_crf.annotation.rules import Rules

    given = Rules.from_file(options.rules) if options.rules else Rules()
    if options.types:
        given = replace(given, labels=frozenset(options.files("types")))
    return given if options.rules or options.types else None
