"""Several taggers as one: their marginals averaged, and one Viterbi over the averages.

Averages of probabilities are right where single models err in different ways: Breiman (1996), "Bagging
predictors"; Lakshminarayanan et al. (2017), "Simple and scalable predictive uncertainty estimation using deep
ensembles".
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pybert_crf.annotation.annotator import BATCH_TOKENS, Annotator
from pybert_crf.annotation.entities import Entity, Marginals, Reading, Tagging
from pybert_crf.annotation.examples import Example, make_example
from pybert_crf.annotation.sentence_reader import Offsets, Prepared, SentenceReader
from pybert_crf.annotation.tags_of_entities import tags_of_entities
from pybert_crf.crf import CRF
from pybert_crf.encoders import Base, ConfigError
from pybert_crf.files import write_json
from pybert_crf.reading import one_of, quoted, read_object
from pybert_crf.taggers.decoding import EntityDecoder, forbid, tempered
from pybert_crf.taggers.tagger import ENSEMBLE, Tagger
from pybert_crf.taggers.temperature import Temperature
from pybert_crf.tagging_constraints import tag_constraints
from pybert_crf.text.tagging.schemes import OUTSIDE, PLAIN
from pybert_crf.text.units import split_units

FORMAT = 1
"""The version of ``ensemble.json``, the only one that is read."""


class _Chains(NamedTuple):
    """A member's CRF, its emissions (B, T, K), -inf for tags that are not allowed, and the mask (B, T)."""

    crf: CRF
    emissions: Tensor
    mask: Tensor


class Ensemble(Tagger):
    """Finds entities in text by several taggers together, with the methods of `Tagger`.

    The probability of a tag at a unit is the mean of those that the members give to it. The tags are the
    legal ones whose probabilities have the largest product: one Viterbi over their logarithms, in which the
    tag scheme's constraints are the only transitions. An entity's score is the mean of the members' exact
    probabilities for it (see `Tagger`); a member that lacks one of its tags gives 0. Members keep the
    temperatures of their calibration; the ensemble has none of its own.

    Args:
        members: of one unit and tag scheme. They may have different encoders, tokenizers and labels: the
            ensemble has the labels of all.

    Raises:
        ValueError: fewer than two members, or of different units or schemes.
    """

    def __init__(self, members: Sequence[Tagger]) -> None:
        _check(members)
        first = members[0]
        labels = dict.fromkeys(label for member in members for label in member.labels)
        ordered = sorted(labels, key=lambda label: label != OUTSIDE)  # O first, if there is one
        Annotator.__init__(
            self,
            first.tokenizer,
            first.unit,
            ordered,
            first.scheme,
            first.layout.max_positions,
            cut_alike=min(member.cut_alike for member in members),
            words=frozenset().union(*(member.words for member in members)),
            context=max(member.context for member in members),
        )
        self.members = tuple(members)
        self.int8, self._temperature = all(member.int8 for member in members), 1.0
        # Of each member's tags the numbers here, and of each tag here the member's number, or -1.
        self._columns = [torch.tensor([ordered.index(label) for label in m.labels]) for m in members]
        self._numbers = [
            torch.tensor([m.labels.index(label) if label in m.labels else -1 for label in ordered])
            for m in members
        ]
        self._decoder = EntityDecoder(self.labels, self.scheme)
        rules = None if self.scheme == PLAIN else tag_constraints(self.labels, self.scheme)
        self._crf = CRF(len(ordered), batch_first=True, constraints=rules).requires_grad_(False)
        for score in self._crf.parameters():
            score.zero_()

    @classmethod
    def from_pretrained(
        cls,
        name_or_directory: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> Ensemble:
        """Load an ensemble from a directory; otherwise as `Tagger.from_pretrained`, which calls this.

        Raises:
            ConfigError: ``ensemble.json`` is missing or damaged, or names what is no plain tagger.
            ValueError: `device` is "auto".
        """
        if device == "auto":
            raise ValueError(f"{name_or_directory} is an ensemble, for which device must be named: not auto")
        directory = Path(name_or_directory).expanduser()
        loaded = [
            Tagger.from_pretrained(
                directory / name, device=device, dtype=dtype, local_files_only=local_files_only
            )
            for name in read_members(directory)
        ]
        try:
            return cls(loaded)
        except ValueError as error:
            raise ConfigError(f"{directory / ENSEMBLE}: {error}") from error

    def save_pretrained(self, directory: str | Path, *, over: Base | None = None) -> None:
        """Write a directory that `from_pretrained` opens: ``ensemble.json``, and a directory for each member.

        Raises:
            ValueError: a member is quantised, or `over` is given.
        """
        if over is not None:
            raise ValueError("an ensemble is saved whole, not over a base")
        names = [f"member-{number}" for number in range(1, len(self.members) + 1)]
        for name, member in zip(names, self.members, strict=True):
            member.save_pretrained(Path(directory) / name)
        write_members(directory, names)

    def push_to_hub(
        self,
        name: str,
        *,
        card: str | Path | None = None,
        private: bool = False,
        token: str | None = None,
        message: str = "Tagger",
    ) -> str:
        """Raises ValueError: an ensemble opens from a directory, not from a hub."""
        raise ValueError("an ensemble opens from a directory only: upload its members, tagger.members")

    @property
    def context(self) -> int:
        """The largest context of a member. Setting it sets that of all."""
        return self._context

    @context.setter
    def context(self, width: int) -> None:
        for member in getattr(self, "members", ()):  # not yet, while they keep their own
            member.context = width
        self._context = width

    def reader(self) -> SentenceReader:
        """As of `Annotator`; a sentence comes out as all members read it, each with its own context."""
        first = self.members[0]
        own = SentenceReader(first.tokenizer, self.unit, first.layout, first.context, self._allowed)
        return _Readers([own, *(member.reader() for member in self.members[1:])])

    @property
    def temperature(self) -> float:
        """1: the members have their own. Setting it raises ValueError."""
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        raise ValueError("an ensemble has no temperature of its own: calibrate its members, tagger.members")

    def calibrate(
        self,
        sequences: Iterable[Sequence[str]],
        tags: Iterable[Sequence[str]],
        batch_tokens: int = BATCH_TOKENS,
        *,
        documents: Iterable[int] | None = None,
    ) -> Temperature:
        """Raises ValueError: the members are calibrated, each by itself."""
        raise ValueError("an ensemble has no temperature of its own: calibrate its members, tagger.members")

    def quantise(self) -> Ensemble:
        """As `Tagger.quantise`, of each member."""
        for member in self.members:
            member.quantise()
        self.int8 = True
        return self

    def to(self, device: str | torch.device) -> Ensemble:
        """Move all members to `device`; returns this tagger. Raises ValueError if it cannot be used."""
        for member in self.members:
            member.to(device)
        return self

    def half(self) -> Ensemble:
        """As `Tagger.half`, of each member."""
        for member in self.members:
            member.half()
        return self

    def example(self, text: str, offsets: list[tuple[int, int]]) -> Example:
        """As of `Annotator`, with the example as each of the other members reads it."""
        units = [text[start:end] for start, end in offsets]
        others = (make_example(m.tokenizer.encode(units), m.layout) for m in self.members[1:])
        return super().example(text, offsets)._replace(others=tuple(others))

    @torch.inference_mode()
    def tag_examples(
        self, examples: Sequence[Example], *, scores: bool, probability: bool = False
    ) -> list[Tagging]:
        """The tags and entities of a batch of examples, each of at least one unit."""
        given = self._given(examples)
        mask = given[0].mask
        crf = self._crf.to(mask.device)
        averages = self._average(given)
        # A probability that is too small for a float must not forbid the only legal path.
        emissions = averages.clamp(min=torch.finfo(averages.dtype).tiny).log()
        forbid(emissions, examples)
        tags, best = crf.viterbi(emissions, mask)
        if not bool(best.isfinite().all()):
            crf.decode(emissions, mask)  # raises, and names the row and the fault
        spans, types = self._decoder.spans(tags, mask)
        probabilities = self._span_scores(given, tags, spans).tolist() if scores and len(spans) else []
        taggings = self._decoder.taggings(tags, mask, spans, types, probabilities)
        if not probability:
            return taggings
        logs = self._log_probabilities(given, tags).tolist()
        return [each._replace(log_probability=log) for each, log in zip(taggings, logs, strict=True)]

    @torch.inference_mode()
    def marginals(self, text: str) -> Marginals:
        """The probability of every tag at every unit of a text: the mean over the members."""
        offsets = split_units(text, self.unit)
        if not offsets:
            return Marginals(text, [], self.labels, np.empty((0, len(self.labels)), np.float32))
        averages = self._average(self._given([self.example(text, offsets)]))[0]
        return Marginals(text, offsets, self.labels, averages.cpu().numpy())

    def k_best(self, text: str, k: int) -> list[Reading]:
        """Raises ValueError: the k best readings are those of one CRF."""
        raise ValueError("an ensemble has no k best readings: ask one of its members, tagger.members[0]")

    @torch.inference_mode()
    def score(self, text: str, entities: Iterable[Entity | tuple[int, int, str]]) -> float:
        """As `Tagger.score`: the mean of the members' probabilities; 0 of one that lacks a tag."""
        offsets = split_units(text, self.unit)
        tags = tags_of_entities(entities, text, offsets, self.unit, self.labels, self.scheme)
        if not offsets:
            return 1.0
        total = 0.0
        parts = self._given([self.example(text, offsets)])
        for member, (crf, emissions, mask) in zip(self.members, parts, strict=True):
            if set(tags) <= set(member.labels):
                numbers = torch.tensor([[member.labels.index(tag) for tag in tags]], device=emissions.device)
                total += float(crf(emissions, numbers, mask).exp())
        return total / len(self.members)

    def _given(self, examples: Sequence[Example]) -> list[_Chains]:
        """The members' chains of some examples, at their temperatures."""
        given = []
        for place, (member, columns) in enumerate(zip(self.members, self._columns, strict=True)):
            own = [each if place == 0 else each.others[place - 1] for each in examples]
            rules = [None if each.allowed is None else each.allowed[:, columns.numpy()] for each in examples]
            read = [each._replace(allowed=rule) for each, rule in zip(own, rules, strict=True)]
            emissions, mask = member._emissions(read)
            given.append(_Chains(*tempered(member.model.crf, emissions, member.temperature), mask))
        return given

    def _average(self, given: Sequence[_Chains]) -> Tensor:
        """The mean marginals (B, T, K), 0 where masked; of the members for which a path is legal."""
        B, T = given[0].mask.shape
        device = given[0].mask.device
        total = torch.zeros(B, T, len(self.labels), device=device)
        for columns, (crf, emissions, mask) in zip(self._columns, given, strict=True):
            marginals = crf.marginals(emissions, mask)
            total[:, :, columns.to(device)] += marginals.to(device, total.dtype)
        return total / total.sum(dim=2, keepdim=True).clamp(min=torch.finfo(total.dtype).tiny)

    def _span_scores(self, given: Sequence[_Chains], tags: Tensor, spans: Tensor) -> Tensor:
        """The mean over the members of the probability of each span (S,)."""
        row, start, end = spans.unbind(1)
        total = torch.zeros(len(spans), device=tags.device)
        for member, numbers, chains in zip(self.members, self._numbers, given, strict=True):
            own = numbers.to(tags.device)[tags.clamp(min=0)]
            lacking = torch.nn.functional.pad((own < 0).cumsum(1), (1, 0))  # before each unit
            known = lacking[row, end] == lacking[row, start]
            crf, emissions, mask = chains
            probabilities = member._decoder.probabilities(crf, emissions, own.clamp(min=0), spans, mask)
            total += torch.where(known, probabilities, 0.0)
        return total / len(self.members)

    def _log_probabilities(self, given: Sequence[_Chains], tags: Tensor) -> Tensor:
        """The logarithm of the mean over the members of the probability of the tags of each row (B,)."""
        logs = []
        for numbers, (crf, emissions, mask) in zip(self._numbers, given, strict=True):
            own = numbers.to(tags.device)[tags.clamp(min=0)]
            known = ((own >= 0) | ~mask).all(1)
            log = crf.score(emissions, own.clamp(min=0), mask) - crf.log_partition(emissions, mask)
            logs.append(torch.where(known, log, -torch.inf))
        return (torch.stack(logs).logsumexp(0) - math.log(len(logs))).clamp(max=0.0)

    def __getattr__(self, name: str) -> object:
        if name == "model":
            raise ValueError("an ensemble has no model of its own: name one of its members instead")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"Ensemble({len(self.members)} members: {', '.join(map(repr, self.members))})"


class _Readers(SentenceReader):
    """The readers of all members, fed alike: a sentence comes out when all are done with it."""

    def __init__(self, readers: Sequence[SentenceReader]) -> None:
        self._readers = readers
        self._ready: list[deque[Prepared]] = [deque() for _ in readers]

    def add(self, sentence: str | Sequence[str], document: int = 0) -> list[Prepared]:
        return self._merged([reader.add(sentence, document) for reader in self._readers])

    def add_cut(self, text: str, offsets: Offsets, document: int = 0) -> list[Prepared]:
        return self._merged([reader.add_cut(text, offsets, document) for reader in self._readers])

    def end(self) -> list[Prepared]:
        return self._merged([reader.end() for reader in self._readers])

    def _merged(self, fresh: Sequence[Sequence[Prepared]]) -> list[Prepared]:
        for ready, prepared in zip(self._ready, fresh, strict=True):
            ready.extend(prepared)
        merged = []
        while all(self._ready):
            first, *others = (ready.popleft() for ready in self._ready)
            example = first.example._replace(others=tuple(each.example for each in others))
            merged.append(first._replace(example=example))
        return merged


def read_members(directory: Path) -> list[str]:
    """The names of the members of an ensemble, directories within its own.

    Raises:
        FileNotFoundError: there is no ``ensemble.json``.
        ConfigError: it is damaged, or a member is an ensemble itself.
    """
    path = directory / ENSEMBLE
    value = read_object(path)
    if not one_of(value.get("format"), [FORMAT]):
        found = quoted(value.get("format"))
        raise ConfigError(f"{path}: format is {found}, but this version of pybert-crf reads {FORMAT}")
    members = value.get("members")
    if not isinstance(members, list) or len(members) < 2 or not all(map(_is_name, members)):
        raise ConfigError(f"{path}: members must be names of two directories or more, got {quoted(members)}")
    for name in members:
        if (directory / name / ENSEMBLE).exists():
            raise ConfigError(f"{path}: {name} is an ensemble itself")
    return members


def refuse_ensemble(name: str, option: str) -> None:
    """Raise ``ValueError`` if an option that needs one model names an ensemble."""
    if (Path(name).expanduser() / ENSEMBLE).is_file():
        members = read_members(Path(name).expanduser())
        raise ValueError(
            f"{option} needs one model, and {name} is an ensemble: name a member, as {members[0]}"
        )


def write_members(directory: str | Path, members: Sequence[str]) -> None:
    """Make an ensemble of a directory that holds these, each a saved tagger."""
    write_json(Path(directory) / ENSEMBLE, {"format": FORMAT, "members": list(members)})


def _is_name(value: object) -> bool:
    """Whether a value names a directory within another one."""
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0")


def _check(members: Sequence[Tagger]) -> None:
    if len(members) < 2:
        raise ValueError(f"an ensemble has two members or more, got {len(members)}")
    for name in ("unit", "scheme"):
        found = [getattr(member, name) for member in members]
        if len(set(found)) > 1:
            raise ValueError(f"the members of an ensemble must be of one {name}, got {', '.join(found)}")
