"""The forms in which ``predict`` writes its answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pybert_crf.annotation import rendering
from pybert_crf.text.corpora import CorpusError
from pybert_crf.text.corpora.formats.columns import conllu_lines
from pybert_crf.text.corpora.formats.words import words_line
from pybert_crf.web_page import Html, element, page

if TYPE_CHECKING:
    from pybert_crf.annotation.entities import Annotation

_ANSWERS = Html("<!-- answers -->")  # where they stand in the page
_PAGE = page("pybert-crf", [_ANSWERS], style=rendering.RULES).rstrip("\n").partition(_ANSWERS)
_HEADS = {"html": _PAGE[0], "label-studio": "["}
_TAILS = {"html": _PAGE[2], "label-studio": "]"}
_json_of = json.JSONEncoder(ensure_ascii=False).encode


class Answers:
    """Writes the answers of a tagger one by one, between `head` and `tail`, each without its line end.

    Args:
        form: a choice of ``--to``.
        scheme: that of the tagger.
    """

    def __init__(self, form: str, scheme: str) -> None:
        self.head, self.tail = _HEADS.get(form), _TAILS.get(form)
        self._write = getattr(self, f"_{form.replace('-', '_')}")
        self._form, self._scheme, self._count = form, scheme, 0

    def line(self, answer: Annotation | CorpusError) -> str:
        """The answer to one text; an error stands in its place."""
        self._count += 1
        if not isinstance(answer, CorpusError):
            told: str = self._write(answer)
        else:
            told = self._error(str(answer))
        return f", {told}" if self._form == "label-studio" and self._count > 1 else told

    def _error(self, told: str) -> str:
        """An error in place of an answer, such that the whole can still be read as what it is."""
        forms = {
            "jsonl": _json(text=None, entities=[], error=told),
            "doccano": _json(text="", label=[], error=told),
            "label-studio": _json(data={"text": ""}, meta={"error": told}),
            "html": element("p", told),
        }
        return forms.get(self._form, f"# {told}" + "\n" * (self._form in ("columns", "conllu")))

    def _jsonl(self, answer: Annotation) -> str:
        # One at a time: the dictionaries of all entities of a huge text take more memory than its line.
        entities = ", ".join(_json_of(entity.to_dict()) for entity in answer.entities)
        before, after = _json(text=answer.text, entities=[], **_probability(answer)).rsplit("[]", 1)
        return f"{before}[{entities}]{after}"

    def _columns(self, answer: Annotation) -> str:
        return "".join(f"{unit}\t{tag}\n" for unit, tag in zip(answer.units, answer.tags, strict=True))

    def _conllu(self, answer: Annotation) -> str:
        return conllu_lines(answer.text, answer.offsets, answer.tags, self._scheme)

    def _words(self, answer: Annotation) -> str:
        return words_line(answer.units, answer.tags, self._scheme)

    def _inline(self, answer: Annotation) -> str:
        return rendering.inline(answer.text, answer.entities)

    def _html(self, answer: Annotation) -> str:
        return rendering.html(answer.text, answer.entities)

    def _doccano(self, answer: Annotation) -> str:
        """As doccano imports sequence labels; what else there is, it keeps as the text's metadata."""
        label = [[e.start, e.end, e.label] for e in answer.entities]
        scores = [round(e.score, 6) for e in answer.entities]
        return _json(text=answer.text, label=label, scores=scores, **_probability(answer))

    def _label_studio(self, answer: Annotation) -> str:
        """A task with a prediction, for a labelling interface whose tags are named label and text."""
        result = [
            {
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "score": e.score,
                "value": {"start": e.start, "end": e.end, "text": e.text, "labels": [e.label]},
            }
            for e in answer.entities
        ]
        least = min((entity.score for entity in answer.entities), default=1.0)
        score = _probability(answer).get("probability", least)
        prediction = {"model_version": "pybert-crf", "score": score, "result": result}
        return _json(data={"text": answer.text}, predictions=[prediction])


def _probability(answer: Annotation) -> dict[str, float]:
    """That of the best reading, if it is known."""
    return {} if answer.probability is None else {"probability": answer.probability}


def _json(**record: Any) -> str:
    return _json_of(record)
