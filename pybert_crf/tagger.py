"""Text in, entities out: the tokenizer, the model and the tag scheme as one object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, tee
from pathlib import Path

import torch
from torch import Tensor

from pybert_crf.batches import Batch, Example, Window, by_length, collate, positions
from pybert_crf.encoders import resolve
from pybert_crf.entities import Annotation, Entity, Tagging
from pybert_crf.model import SECTION, BertCRF, read_tagger_config
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import continues
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.units import split_units

BATCH_TOKENS = 4096
"""Positions encoded at once in prediction, padding counted."""

LOOK_AHEAD = 512
"""Texts read before the first is answered, to encode those of like length together."""


class Tagger:
    """Finds entities in text.

    An entity's score is the exact posterior probability, under the CRF, that its units carry just these
    tags and that the unit after it does not continue it.

    Args:
        model: encoder, linear layer and CRF; its labels have a tag scheme.
        tokenizer: pieces of units.
        unit: ``"char"`` or ``"word"``, what one tag stands for.

    Raises:
        ValueError: the model's labels have no scheme.
    """

    def __init__(self, model: BertCRF, tokenizer: UnitTokenizer, unit: str) -> None:
        if model.scheme is None:
            raise ValueError("the model's labels have no tag scheme, so they make no entities")
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.scheme = model.scheme
        self.unit = unit
        self.window = Window(
            tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, model.encoder.config.max_length
        )
        labels = model.labels
        self._continuing = torch.tensor([[continues(a, b, self.scheme) for b in labels] for a in labels])

    @classmethod
    def from_pretrained(
        cls,
        name_or_directory: str | Path,
        *,
        device: str | torch.device = "cpu",
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> Tagger:
        """Load a saved tagger from a directory, or from the hub by name.

        Raises:
            FileNotFoundError: the directory, or one of its files, is missing.
            ValueError: the files are not of a tagger saved by this package, or `device` cannot be used.
        """
        device = _usable(device)
        directory = resolve(name_or_directory, revision=revision, local_files_only=local_files_only)
        own = read_tagger_config(directory)[SECTION]
        model = BertCRF.from_pretrained(directory).to(device)
        return cls(model, UnitTokenizer.from_directory(directory, own["unit"]), own["unit"])

    def save_pretrained(self, directory: str | Path) -> None:
        """Write one directory that `from_pretrained` opens: configuration, all weights, tokenizer files."""
        self.model.save_pretrained(directory, {"unit": self.unit})
        self.tokenizer.save(directory)

    def __call__(self, text: str) -> list[Entity]:
        """The entities of one text, in order of appearance."""
        return next(self.tag([text]))

    def tag(self, texts: Iterable[str], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[Entity]]:
        """The entities of each text, in the order of the texts; see `annotate`."""
        for annotation in self.annotate(texts, batch_tokens):
            yield annotation.entities

    def annotate(
        self, texts: Iterable[str], batch_tokens: int = BATCH_TOKENS, *, look_ahead: int = LOOK_AHEAD
    ) -> Iterator[Annotation]:
        """Units, tags and entities of each text, in the order of the texts.

        Reads `look_ahead` texts ahead and encodes those of like length together, `batch_tokens` positions
        at a time. A text of any length is covered whole: the encoder sees it in overlapping windows, the
        CRF decodes it in one pass.

        Raises:
            ValueError: `batch_tokens` or `look_ahead` is not positive.
        """
        cut = ((text, split_units(text, self.unit)) for text in texts)
        return self._annotate(cut, batch_tokens, look_ahead)

    def annotate_units(
        self, sequences: Iterable[Sequence[str]], batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[Annotation]:
        """As `annotate`, for sequences that are cut into units already, such as a column file's tokens."""
        glue = " " if self.unit == "word" else ""
        return self._annotate((_join(units, glue) for units in sequences), batch_tokens, LOOK_AHEAD)

    def _annotate(
        self, texts: Iterable[tuple[str, list[tuple[int, int]]]], batch_tokens: int, look_ahead: int
    ) -> Iterator[Annotation]:
        ahead, behind = tee(texts)
        units = ([text[a:b] for a, b in offsets] for text, offsets in ahead)
        # The taggings come first: they pull `ahead` forward, and `behind` follows.
        taggings = self.tag_units(units, batch_tokens, look_ahead=look_ahead)
        for tagging, (text, offsets) in zip(taggings, behind, strict=True):
            entities = [
                _entity(text, offsets[span.start][0], offsets[span.end - 1][1], span.label, score)
                for span, score in zip(tagging.spans, tagging.scores, strict=True)
            ]
            yield Annotation(text, offsets, tagging.tags, entities)

    def tag_units(
        self,
        sequences: Iterable[Sequence[str]],
        batch_tokens: int = BATCH_TOKENS,
        *,
        look_ahead: int = LOOK_AHEAD,
        scores: bool = True,
    ) -> Iterator[Tagging]:
        """Tags and spans of sequences that are cut into units already, such as a column file's tokens.

        Args:
            sequences: the units (characters or words, as in training) of each sequence.
            batch_tokens: positions encoded at once.
            look_ahead: sequences read before the first is answered.
            scores: whether to compute the entities' probabilities; without, `Tagging.scores` is empty.

        Raises:
            ValueError: `batch_tokens` or `look_ahead` is not positive.
        """
        if batch_tokens < 1 or look_ahead < 1:
            raise ValueError(f"batch_tokens ({batch_tokens}) and look_ahead ({look_ahead}) must be positive")
        iterator = iter(sequences)
        while chunk := list(islice(iterator, look_ahead)):
            examples = [Example(self.tokenizer.encode(units)) for units in chunk]
            answers: list[Tagging] = [Tagging([], [], [])] * len(chunk)
            filled = [row for row, units in enumerate(chunk) if units]
            lengths = [positions(examples[row], self.window) for row in filled]
            for rows in by_length(lengths, batch_tokens):
                chosen = [filled[row] for row in rows]
                batch = collate([examples[row] for row in chosen], self.window)
                for row, tagging in zip(chosen, self._tag_batch(batch, scores), strict=True):
                    answers[row] = tagging
            yield from answers

    @torch.inference_mode()
    def _tag_batch(self, batch: Batch, scores: bool) -> list[Tagging]:
        self.model.eval()
        batch = batch.to(self.model.linear.weight.device)
        emissions = self.model(batch)
        paths = self.model.crf.decode(emissions, batch.mask)
        tags = [[self.model.labels[number] for number in path] for path in paths]
        found = [spans(row, self.scheme) for row in tags]
        if not scores:
            return [Tagging(row, entities, []) for row, entities in zip(tags, found, strict=True)]
        flat = [(row, span.start, span.end) for row, entities in enumerate(found) for span in entities]
        probabilities = iter(self._probabilities(emissions, batch, paths, flat))
        return [
            Tagging(row, entities, list(islice(probabilities, len(entities))))
            for row, entities in zip(tags, found, strict=True)
        ]

    def _probabilities(
        self, emissions: Tensor, batch: Batch, paths: list[list[int]], flat: list[tuple[int, int, int]]
    ) -> list[float]:
        if not flat:
            return []
        time = batch.mask.shape[1]
        tags = torch.tensor([path + [0] * (time - len(path)) for path in paths], device=emissions.device)
        result: list[float] = self.model.crf.span_probabilities(
            emissions, tags, flat, batch.mask, self._continuing.to(emissions.device)
        ).tolist()
        return result


def _usable(device: str | torch.device) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"device {str(device)!r} cannot be used here: {reason}") from error


def _entity(text: str, start: int, end: int, label: str, score: float) -> Entity:
    return Entity(start, end, label, text[start:end], score)


def _join(units: Sequence[str], glue: str) -> tuple[str, list[tuple[int, int]]]:
    """The units as one text, and where each stands in it."""
    offsets = []
    start = 0
    for unit in units:
        offsets.append((start, start + len(unit)))
        start += len(unit) + len(glue)
    return glue.join(units), offsets
