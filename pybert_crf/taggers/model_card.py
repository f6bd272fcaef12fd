"""The model card of a tagger, in the format of hubs: what it is, how it is used, what is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pybert_crf
from pybert_crf.text.context import neighbourhood

if TYPE_CHECKING:
    from pybert_crf.taggers.tagger import Tagger

PACKAGE = f"[pybert-crf](https://pypi.org/project/pybert-crf/) {pybert_crf.__version__}"
"""The package and its version, as cards name them."""


def model_card(name: str, kind: str, description: str, facts: Iterable[str]) -> str:
    """The card of what `Tagger.from_pretrained` opens.

    Args:
        name: directory or name on a hub; its last part is the title.
        kind: the type of its encoder, as ``bert``, or ``ensemble``: a tag.
        description: what it is, in a sentence.
        facts: a line for each.
    """
    lines = "\n".join(f"- {fact[:1].upper()}{fact[1:]}" for fact in facts)
    return f"""---
library_name: pybert-crf
pipeline_tag: token-classification
tags: [{kind}, crf, token-classification]
---

# {name.rpartition("/")[2]}

{description}

```python
from pybert_crf import Tagger

tagger = Tagger.from_pretrained("{name}")
for entity in tagger("…"):
    print(entity.start, entity.end, entity.label, entity.text, entity.score)
```

{lines}
"""


def description_of(tagger: Tagger, made: str) -> str:
    """What one tagger is, and how it was `made`: trained, saved."""
    config = tagger.model.encoder.config
    return (
        f"A sequence labeller: {config.num_layers}-layer, {config.hidden_size}-wide encoder, linear layer\n"
        f"and linear-chain CRF, {made} by {PACKAGE}."
    )


def facts_of(tagger: Tagger) -> list[str]:
    """Its encoder, its labels, and how sentences are to be read, if not each alone."""
    facts = [
        tagger.model.encoder.description,
        f"Labels ({tagger.scheme}, one for each {tagger.unit}): {', '.join(tagger.labels)}",
    ]
    if tagger.context:
        told = f"reads {neighbourhood(tagger.context)} on either side of each"
        facts.append(f"{told}: `tagger.tag_documents`")
    return facts
