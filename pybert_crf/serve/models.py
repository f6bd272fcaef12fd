"""The taggers that are served, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Literal, NamedTuple

from pybert_crf.annotation.annotator import Annotator
from pybert_crf.reading import listed, quoted
from pybert_crf.serve.batching import Batcher
from pybert_crf.serve.refusals import Refusal
from pybert_crf.serve.schema import ModelInfo
from pybert_crf.text.tagging.schemes import OUTSIDE, role, type_name

Ability = Literal["entities", "marginals", "k-best"]


def named(models: Sequence[str]) -> dict[str, str]:
    """Where each tagger is, by its name: ``NAME=MODEL``, else the last part of the path or hub name.

    Raises:
        ValueError: two have the same name, or one has none.
    """
    pairs = [_named(model) for model in models]
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"two models are called {quoted(twice[0])}: give one another name, NAME=MODEL")
    return dict(pairs)


def _named(model: str) -> tuple[str, str]:
    name, sign, place = model.partition("=")
    if not sign:
        name, place = _last_part(model), model
    if not name or not place:
        raise ValueError(f"the model {quoted(model)} needs a name: NAME=MODEL")
    return name, place


def _last_part(model: str) -> str:
    """``entities`` of ``runs/entities/``, ``owner/entities`` and ``entities/model.onnx``."""
    path = PurePath(model)
    if path.name in ("model.onnx", "model.pt2"):
        return path.parent.name
    return path.stem if path.suffix in (".onnx", ".pt2") else path.name


class Served(NamedTuple):
    """A tagger, what is told of it, and the thread that computes for it."""

    info: ModelInfo
    batcher: Batcher

    def check(self, ability: Ability) -> None:
        """Raise Refusal, 501, unless the tagger can do this."""
        if ability not in self.info.can:
            raise Refusal(501, f"{self.info.name} is an exported tagger, which has no {ability}")

    def check_least(self, score: float) -> None:
        """Raise Refusal, 422, if entities cannot be left out."""
        if score and OUTSIDE not in self.info.labels:
            raise Refusal(422, f"min_score: {self.info.name} has no tag O for what is left out")


class Models:
    """All taggers that are served; the first one answers requests that name none."""

    def __init__(self, served: Iterable[Served]) -> None:
        self._served = {each.info.name: each for each in served}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def find(self, name: str | None) -> Served:
        """The tagger of this name; Refusal, 404, if there is none."""
        if name is None:
            return next(iter(self))
        if name not in self._served:
            raise Refusal(404, f"no model is called {quoted(name)}, but {listed(list(self._served))}")
        return self._served[name]


def describe(name: str, tagger: Annotator, *, default: bool) -> ModelInfo:
    """What the API tells of a tagger."""
    kinds = [role(tag, tagger.scheme)[1] for tag in tagger.labels]
    types = [type_name(kind) if kind else "" for kind in kinds]
    found = set(types) - {""}
    if tagger.rules is not None and tagger.rules.labels is not None:
        found &= tagger.rules.labels
    abilities: list[Ability] = ["entities"]
    if hasattr(tagger, "marginals"):
        abilities += ["marginals", "k-best"]
    return ModelInfo(
        name=name,
        default=default,
        unit="char" if tagger.unit == "char" else "word",
        scheme=tagger.scheme,
        labels=list(tagger.labels),
        label_types=types,
        types=sorted(found),
        max_length=tagger.layout.max_positions,
        can=abilities,
        about=about(tagger),
    )


def about(tagger: Annotator) -> str:
    """A tagger in words."""
    return repr(tagger) if type(tagger).__repr__ is not object.__repr__ else type(tagger).__name__
