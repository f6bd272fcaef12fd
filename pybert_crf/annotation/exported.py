"""What an exported tagger is read by, whatever runs its graph: settings, files, windows, entities.

`pybert_crf.export` describes the graph.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybert_crf.annotation.annotator import Annotator, read_words
from pybert_crf.annotation.entities import Tagging
from pybert_crf.annotation.examples import Arrays, Example, collate_arrays
from pybert_crf.reading import ConfigError, one_of, quoted
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import SCHEMES
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.units import UNITS

SECTION = "pybert_crf"
"""The name of the settings within the file of the model; they are JSON."""

FORMAT = 1
"""The version of the settings, the only one that is read."""

POSITIONS = 16384
"""Encoder positions computed at once: bounds the memory that a long text takes."""

INPUTS = ("input_ids", "attention_mask", "first", "mask", "carried")
OUTPUTS = ("pieces", "tags", "scores", "given_next", "closing")
"""Names in the graph: `Arrays`, then as `pybert_crf.export` says."""


class ExportedTagger(Annotator):
    """Finds entities in text, as the `pybert_crf.Tagger` that was exported does: same methods, same answers.

    Args:
        path: the file of the model; the tokenizer's files lie beside it.
        settings: those in the file, as JSON.

    Raises:
        FileNotFoundError: a file of the tokenizer is missing.
        ConfigError: the file is no exported tagger, or the tokenizer beside it is another one.
    """

    def __init__(self, path: Path, settings: str | None) -> None:
        own = read_settings(settings, path)
        check_files(own["files"], path.parent)
        super().__init__(
            UnitTokenizer.from_directory(path.parent, own["unit"]),
            own["unit"],
            own["labels"],
            own["scheme"],
            own["max_length"],
            cut_alike=own["cut_alike"],
            words=read_words(path.parent),
            context=own.get("context", 0),
        )

    @abstractmethod
    def _compute(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Some of the graph's `OUTPUTS`, given its `INPUTS` by name."""

    def tag_examples(
        self, examples: Sequence[Example], *, scores: bool, probability: bool = False
    ) -> list[Tagging]:
        """The tags and entities of a batch of examples, each of at least one unit.

        Raises:
            ValueError: a row's emissions are not finite, or have no legal path.
        """
        arrays = collate_arrays(examples, self.layout)
        allowed = [each.allowed for each in examples]
        tags, best, given_next, closing = self._run(arrays, allowed if self.rules is not None else [])
        if not np.isfinite(best).all():
            raise ValueError(f"row {int(np.isfinite(best).argmin())} of the batch has no legal path, or NaN")
        answers = []
        for row, length in enumerate(arrays.mask.sum(1).tolist()):
            names = [self.labels[tag] for tag in tags[row, :length].tolist()]
            found = spans(names, self.scheme)
            ends = [given_next[row, a : b - 1].prod() * closing[row, b - 1] for a, b, _ in found if scores]
            # Of the whole chain: each tag given the next one, and the last one.
            whole = _log(given_next[row, :length]) + _log(closing[row, length - 1 : length])
            known = whole if probability else None
            answers.append(Tagging(names, found, [float(score) for score in ends], known))
        return answers

    def _run(self, arrays: Arrays, allowed: Sequence[NDArray[np.bool_] | None]) -> list[NDArray[Any]]:
        """Tags, their scores and the probabilities; of many windows the encoder reads some at a time.

        Args:
            allowed: for each row of the batch the tags that its units may have; nothing for all of them.
        """
        ids, attention, first, mask = arrays
        rows = max(1, POSITIONS // max(1, ids.shape[1]))
        pieces = np.zeros((0, len(self.labels)), np.float32)
        last = len(ids) if allowed else max(0, (len(ids) - 1) // rows * rows)
        for start in range(0, last, rows):
            pieces = self._graph(
                OUTPUTS[:1],
                ids[start : start + rows],
                attention[start : start + rows],
                first[:0],
                mask[:0],
                pieces,
            )[0]
        if not allowed:
            return self._graph(OUTPUTS[1:], ids[last:], attention[last:], first, mask, pieces)
        emissions = pieces[first]
        for row, tags in enumerate(allowed):
            if tags is not None:
                emissions[row, : len(tags)][~tags] = -np.inf
        units = emissions.reshape(-1, len(self.labels))  # in place of pieces: each unit is its own first one
        own = np.arange(len(units)).reshape(first.shape)
        return self._graph(OUTPUTS[1:], ids[:1, :1], attention[:1, :1], own, mask, units)

    def _graph(self, outputs: Sequence[str], *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        return self._compute(outputs, dict(zip(INPUTS, inputs, strict=True)))


def _log(factors: NDArray[Any]) -> float:
    """The logarithm of a product of probabilities."""
    with np.errstate(divide="ignore"):
        return float(np.log(factors).sum())


def read_settings(text: str | None, path: Path) -> dict[str, Any]:
    """The settings of an exported tagger, checked.

    Raises:
        ConfigError: there are none, or a value is missing or invalid.
    """
    if text is None:
        raise ConfigError(f"{path}: no exported tagger: make one with pybert-crf export")
    try:
        own = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: settings are no JSON: {error}") from error
    if not isinstance(own, dict) or not one_of(own.get("format"), [FORMAT]):
        found = own.get("format") if isinstance(own, dict) else own
        raise ConfigError(
            f"{path}: the settings' format is {quoted(found)}, but this version of pybert-crf reads {FORMAT}"
        )
    labels, length, alike = own.get("labels"), own.get("max_length"), own.get("cut_alike")
    context = own.get("context", 0)
    good = {
        "labels": isinstance(labels, list) and labels and all(isinstance(each, str) for each in labels),
        "scheme": one_of(own.get("scheme"), SCHEMES),
        "unit": one_of(own.get("unit"), UNITS),
        "max_length": type(length) is int and length > 2,
        "cut_alike": isinstance(alike, int | float) and 0.0 <= alike <= 1.0,
        "context": type(context) is int and context >= 0,
        "files": isinstance(own.get("files"), dict),
    }
    if wrong := [name for name, is_good in good.items() if not is_good]:
        raise ConfigError(f"{path}: settings: {wrong[0]} is {quoted(own.get(wrong[0]))}")
    return own


def check_files(digests: Mapping[str, str], directory: Path) -> None:
    """Raise ``ConfigError`` unless these files are as they were when the tagger was exported."""
    for name, digest in digests.items():
        if file_digest(directory / Path(name).name) != digest:
            raise ConfigError(f"{directory / name} is of another tagger than the model: export it again")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
