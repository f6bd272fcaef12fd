"""Publishing a tagger on a hub, with its model card."""

from __future__ import annotations

import filecmp
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pybert_crf
from pybert_crf.encoders import upload
from pybert_crf.files import write_text
from pybert_crf.reading import read_text

if TYPE_CHECKING:
    from pybert_crf.taggers.tagger import Tagger

CARD = "README.md"
"""The model card, as hubs show it."""


def publish(
    tagger: Tagger, name: str, *, card: str | Path | None, private: bool, token: str | None, message: str
) -> str:
    """Upload what `Tagger.save_pretrained` writes, and a card; see `Tagger.push_to_hub`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        tagger.save_pretrained(out)
        text = _card(tagger, out, name) if card is None else read_text(Path(card))
        write_text(out / CARD, text)
        return upload(out, name, private=private, token=token, message=message)


def _card(tagger: Tagger, saved: Path, name: str) -> str:
    """The card beside the files that the tagger was opened from; without one, a card of what it is."""
    there = tagger.source
    if there is None or not (there / CARD).is_file():
        return _plain(tagger, name)
    names = sorted(each.name for each in saved.iterdir())
    same, *_ = filecmp.cmpfiles(saved, there, names, shallow=False)
    changed = [name for name in names if name not in same]
    if changed:
        raise ValueError(
            f"{there / CARD} describes the tagger that was saved there, from which this one differs "
            f"({', '.join(changed)}): give the path of its own card by card=…"
        )
    use = re.compile(r"Tagger\.from_pretrained\(\"[^\"\n]*\"")
    return use.sub(lambda _: f'Tagger.from_pretrained("{name}"', read_text(there / CARD))


def _plain(tagger: Tagger, name: str) -> str:
    config = tagger.model.encoder.config
    return f"""---
library_name: pybert-crf
pipeline_tag: token-classification
tags: [{config.model_type}, crf, token-classification]
---

# {name.rpartition("/")[2]}

A sequence labeller: {config.num_layers}-layer, {config.hidden_size}-wide encoder, linear layer and
linear-chain CRF, saved by [pybert-crf](https://pypi.org/project/pybert-crf/) {pybert_crf.__version__}.

```python
from pybert_crf import Tagger

tagger = Tagger.from_pretrained("{name}")
for entity in tagger("…"):
    print(entity.start, entity.end, entity.label, entity.text, entity.score)
```

- Labels ({tagger.scheme}, one for each {tagger.unit}): {", ".join(tagger.labels)}
- What it was trained on, and how well it does, is not recorded.
"""
