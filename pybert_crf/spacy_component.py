"""A tagger as a component of spaCy's pipelines, which finds it by the name ``pybert_crf``.

::

    nlp = spacy.blank("zh")
    nlp.add_pipe("pybert_crf", config={"model": "my-tagger"})
    for entity in nlp("林小雨在青河市工作。").ents:
        print(entity.text, entity.label_, entity._.score)

Needs the package spaCy: ``pip install 'pybert-crf[spacy]'``.
"""
# Without `from __future__ import annotations`: spaCy reads the types of the factory's arguments.

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from spacy.language import Language
from spacy.tokens import Doc, Span
from srsly import msgpack_dumps, msgpack_loads

from pybert_crf.annotation.annotator import BATCH_TOKENS
from pybert_crf.annotation.entities import Entity
from pybert_crf.annotation.rules import Rules
from pybert_crf.files import write_text
from pybert_crf.reading import quoted, read_text
from pybert_crf.taggers.tagger import Tagger

RULES = "rules.json"
"""The file of a saved component that holds the rules, beside the files of the tagger."""

Alignment: TypeAlias = Literal["strict", "expand", "contract"]
_ErrorHandler: TypeAlias = Callable[[str, Any, list[Doc], Exception], None]


class EntityComponent:
    """Sets `Doc.ents`, and the probability of each entity as an extension of its span.

    The tagger reads the text of a document, cuts it into units of its own and answers in characters, as it
    does without spaCy; the answers are then brought to the borders of spaCy's tokens. It is opened when it is
    first needed, so that a saved pipeline, which holds its tagger, does not look for the one it came from.

    Args:
        name: of the component in its pipeline.
        model: directory or hub name of a saved tagger.
        device: as in `Tagger.from_pretrained`.
        alignment: what to do with an entity that does not begin and end with tokens. ``"strict"``: raise
            ValueError. ``"expand"``: take all tokens that it touches. ``"contract"``: take those within it.
            An entity that then has no token, or shares one with another, is left out with a warning.
        overwrite_ents: whether entities that a document has already give way to those of the tagger that
            share a token with them. If not, the tagger's are left out, with a warning.
        min_score: entities of a lower probability are left out.
        rules: a file as `Rules.from_file` reads; None: none.
        batch_tokens: positions encoded at once.
        score: the name of the extension, as in ``span._.score``.

    Raises:
        ValueError: `score` is the name of an extension that is computed by something else.
    """

    def __init__(
        self,
        name: str,
        model: str,
        *,
        device: str = "cpu",
        alignment: Alignment = "strict",
        overwrite_ents: bool = False,
        min_score: float = 0.0,
        rules: str | None = None,
        batch_tokens: int = BATCH_TOKENS,
        score: str = "score",
    ) -> None:
        self.name, self.alignment, self.overwrite_ents = name, alignment, overwrite_ents
        self._model, self._device, self._rules = model, device, rules
        self._min_score, self._batch_tokens, self._score = min_score, batch_tokens, score
        self._tagger: Tagger | None = None
        self._rules_read: Rules | None = None
        self._handle_error: _ErrorHandler = _raise
        if not Span.has_extension(score):
            Span.set_extension(score, default=None)
        elif any(Span.get_extension(score)[1:]):  # method, getter, setter
            raise ValueError(
                f"span._.{score} is an extension that is computed by something else: name another one "
                'by config={"score": …}'
            )

    @property
    def tagger(self) -> Tagger:
        """The tagger, opened if it is not yet. Raises as `Tagger.from_pretrained` and `Rules.from_file`."""
        if self._tagger is None:
            self._open(self._model, self._rules)
        assert self._tagger is not None
        return self._tagger

    def _open(self, model: str | Path, rules: str | Path | None) -> None:
        tagger = Tagger.from_pretrained(model, device=self._device)
        tagger.rules = self._rules_read = None if rules is None else Rules.from_file(rules)
        tagger.min_score = self._min_score
        self._tagger, self._rules = tagger, None if rules is None else read_text(Path(rules))

    def __call__(self, doc: Doc) -> Doc:
        """Set the entities of one document.

        Raises:
            ValueError: an entity that does not begin and end with tokens, if `alignment` is ``"strict"``.
        """
        self._set(doc, self.tagger(doc.text))
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Set the entities of documents, `batch_size` of which are tagged together; they keep their order.

        A document that fails is given to the pipeline's error handler, which raises unless another is set.
        """
        documents = iter(stream)
        while batch := list(islice(documents, batch_size)):
            for doc, found in zip(batch, self._tagged(batch), strict=True):
                if self._succeeds(doc, found):
                    yield doc

    def _succeeds(self, doc: Doc, found: list[Entity] | None) -> bool:
        """Set the entities that were found, or find them; give an error to its handler, and return False."""
        try:
            self._set(doc, self.tagger(doc.text) if found is None else found)
        except Exception as error:
            self._handle_error(self.name, self, [doc], error)
            return False
        return True

    def _tagged(self, batch: list[Doc]) -> list[list[Entity]] | list[None]:
        """The entities of each; None if some document fails, which is then found one by one."""
        tagger = self.tagger  # a tagger that does not open is no fault of a document
        try:
            return list(tagger.tag([doc.text for doc in batch], self._batch_tokens))
        except Exception:
            return [None] * len(batch)

    def set_error_handler(self, handler: _ErrorHandler) -> None:
        """Give documents that fail to `handler`, as `Language.set_error_handler` asks."""
        self._handle_error = handler

    def get_error_handler(self) -> _ErrorHandler:
        """What documents that fail are given to."""
        return self._handle_error

    def _set(self, doc: Doc, entities: list[Entity]) -> None:
        found = [(self._span(doc, entity), entity) for entity in entities]
        kept = list(doc.ents)
        if self.overwrite_ents:
            ours = {token.i for span, _ in found for token in span or ()}
            kept = [span for span in kept if ours.isdisjoint(range(span.start, span.end))]
        taken = {token.i for span in kept for token in span}
        for span, entity in found:
            if span is None:
                _warn(entity, doc, f'has no token within it, and is left out by alignment "{self.alignment}"')
            elif any(token.i in taken for token in span):
                _warn(
                    entity, doc, f"shares a token of {quoted(span.text)} with another entity, and is left out"
                )
            else:
                taken.update(range(span.start, span.end))
                kept.append(span)
                span._.set(self._score, entity.score)
        doc.set_ents(kept)

    def _span(self, doc: Doc, entity: Entity) -> Span | None:
        """The tokens of an entity; None if `alignment` leaves none."""
        place = (entity.start, entity.end, entity.label)
        exact = doc.char_span(*place)
        if exact is not None:
            return exact
        if self.alignment == "strict":
            touched = doc.char_span(*place, alignment_mode="expand")
            raise ValueError(
                f"{_told(entity)} does not begin and end with tokens, which are "
                f"{quoted(' | '.join(token.text for token in touched or ()))}: "
                'choose config={"alignment": "expand"} or "contract"'
            )
        return doc.char_span(*place, alignment_mode=self.alignment)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the tagger, and the rules; `Tagger.from_pretrained` opens the directory too.

        Raises:
            ValueError: rules or least score are not those of the component's configuration, or the tagger
                cannot be saved.
        """
        tagger = self.tagger
        if (tagger.rules, tagger.min_score) != (self._rules_read, self._min_score):
            raise ValueError(
                f"{self.name}: rules and min_score that were set on the tagger are not saved with a "
                "pipeline: give them by config"
            )
        tagger.save_pretrained(path)
        if self._rules is not None:
            write_text(Path(path) / RULES, self._rules)
        else:
            (Path(path) / RULES).unlink(missing_ok=True)  # of a component that was saved here before

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "EntityComponent":
        """Open what `to_disk` wrote, in place of the configuration's model and rules."""
        rules = Path(path) / RULES
        self._open(path, rules if rules.exists() else None)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The files of `to_disk`."""
        with tempfile.TemporaryDirectory() as folder:
            self.to_disk(folder)
            files = {each.name: each.read_bytes() for each in sorted(Path(folder).iterdir())}
        written: bytes = msgpack_dumps(files)
        return written

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "EntityComponent":
        """Open what `to_bytes` gave.

        Raises:
            ValueError: names of files that lead elsewhere.
        """
        # Windows deletes no file that is mapped into memory.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for name, content in msgpack_loads(data).items():
                if name != Path(name).name:
                    raise ValueError(f"{quoted(name)} is no name of a file in a saved tagger")
                (Path(folder) / name).write_bytes(content)
            return self.from_disk(folder)


def _raise(name: str, component: object, documents: list[Doc], error: Exception) -> None:
    raise error


def _warn(entity: Entity, doc: Doc, told: str) -> None:
    warnings.warn(f"{_told(entity)} {told}; the text begins {quoted(doc.text[:40])}", stacklevel=4)


def _told(entity: Entity) -> str:
    return f"{entity.label} at {entity.start}:{entity.end} ({quoted(entity.text)})"


def create(
    nlp: Language,
    name: str,
    model: str,
    device: str,
    alignment: Alignment,
    overwrite_ents: bool,
    min_score: float,
    rules: str | None,
    batch_tokens: int,
    score: str,
) -> EntityComponent:
    """Make the component for a pipeline; the arguments are those of `EntityComponent`."""
    return EntityComponent(
        name,
        model,
        device=device,
        alignment=alignment,
        overwrite_ents=overwrite_ents,
        min_score=min_score,
        rules=rules,
        batch_tokens=batch_tokens,
        score=score,
    )


Language.factory(
    "pybert_crf",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config={
        "device": "cpu",
        "alignment": "strict",
        "overwrite_ents": False,
        "min_score": 0.0,
        "rules": None,
        "batch_tokens": BATCH_TOKENS,
        "score": "score",
    },
    func=create,
)
