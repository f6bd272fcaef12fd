"""The options that say what may be found, with the same names in all verbs that tag text."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.schema.base import Files, Options
from pybert_crf.options.schema.option import documented, option


@documented
@dataclass(frozen=True, kw_only=True)
class RuleOptions(Options):
    """What `predict` and `serve` share."""

    types: Files = option(
        (),
        "A type to find (repeatable); others are not found. Default: all.",
        "要找的类型（可重复给出）；其他类型不找。默认全部。",
        elsewhere="type label entity-type entity-types allowed-labels",
    )
    rules: str | None = option(
        None,
        "JSON file of surfaces that must be, or never are, entities of a type; they act inside the CRF.",
        "JSON 文件，列出必须是（或不得是）某类实体的词语；在 CRF 内部起作用。",
        elsewhere="dictionary gazetteer lexicon constraints patterns",
    )

    def __post_init__(self) -> None:
        self._as_tuples("types")
        super().__post_init__()
