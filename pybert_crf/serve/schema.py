"""What goes over the wire, as pydantic models, from which OpenAPI's description is made.

Offsets are half-open and count characters (code points) of the text. What a request does not know is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _writable(text: str) -> str:
    """Refuse half of a surrogate pair, which no answer could hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half of a surrogate pair at character {error.start}") from None
    return text


def _whole(value: object) -> object:
    """3 for 3.0, which is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Text = Annotated[str, AfterValidator(_writable)]
_Offsets = Annotated[list[int], Field(min_length=2, max_length=2, description="Half-open characters.")]
_Model = Annotated[str | None, Field(description="Name of the tagger; null for the first one.")]
_Least = Annotated[
    float | None,
    Field(
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Leave out entities of a lower probability; at least the server's --min-score.",
    ),
]
_Probability = Annotated[float, Field(ge=0, le=1.0001)]  # of float32


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TextRequest(_Request):
    """One text."""

    text: _Text = Field(examples=["林小雨在青河市人民医院工作。"])
    model: _Model = None


class EntitiesRequest(TextRequest):
    """One text whose entities are asked for."""

    min_score: _Least = None


class BatchRequest(_Request):
    """Several texts whose entities are asked for."""

    texts: list[_Text] = Field(examples=[["林小雨在青河市人民医院工作。", "她住在青河市。"]])
    model: _Model = None
    min_score: _Least = None


class KBestRequest(TextRequest):
    """One text whose most probable readings are asked for."""

    k: Annotated[int, BeforeValidator(_whole)] = Field(3, ge=1, description="Readings at the most.")


class EntityAnswer(BaseModel):
    """An entity: ``text[start:end]`` of the whole text, its label and its probability."""

    start: int
    end: int
    label: str
    text: str
    score: _Probability


class EntitiesAnswer(BaseModel):
    """A text and its entities, in order of appearance."""

    text: str
    entities: list[EntityAnswer]


class BatchAnswer(BaseModel):
    """An answer for each text, in the order of the request."""

    answers: list[EntitiesAnswer]


class MarginalsAnswer(BaseModel):
    """The probability of every tag at every unit: a row for each unit, a column for each label."""

    text: str
    offsets: list[_Offsets]
    labels: list[str]
    probabilities: list[list[_Probability]]


class ReadingAnswer(BaseModel):
    """One reading: a tag for each unit, the entities that they spell out, the probability of the whole."""

    tags: list[str]
    entities: list[EntityAnswer]
    probability: _Probability


class KBestAnswer(BaseModel):
    """The most probable readings of a text, the most probable first."""

    text: str
    offsets: list[_Offsets]
    readings: list[ReadingAnswer]


class ModelInfo(BaseModel):
    """A tagger that is served."""

    name: str
    default: bool = Field(description="Whether it answers requests that name none.")
    unit: Literal["char", "word"] = Field(description="What one tag stands for.")
    scheme: str
    labels: list[str]
    label_types: list[str] = Field(description="The entity type of each label; empty for what is outside.")
    types: list[str] = Field(description="Labels that entities may have here.")
    max_length: int = Field(description="The longest window that the encoder reads, in pieces.")
    can: list[Literal["entities", "marginals", "k-best"]]
    about: str = Field(description="Encoder, device and type of the weights, in words.")


class Limits(BaseModel):
    """What requests may ask for; the server's options of the same name."""

    max_body: int
    max_text: int
    max_texts: int
    max_numbers: int
    max_k: int
    min_score: float
    timeout: float


class ModelsAnswer(BaseModel):
    """All taggers that are served, the default first, and the limits of requests."""

    models: list[ModelInfo]
    limits: Limits
    version: str = Field(description="Of pybert-crf.")


class StateAnswer(BaseModel):
    """Whether the server lives, or is ready."""

    status: Literal["ok", "ready", "stopping", "broken"]


class ErrorAnswer(BaseModel):
    """Why a request was not answered."""

    error: str = Field(description="What is wrong, in a sentence.")
    status: int
    index: int | None = Field(description="Which of the texts is at fault, from 0.")
    option: str | None = Field(description="The server's option that sets the limit.")
