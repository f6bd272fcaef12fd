"""Publishing a tagger on a hub, with its model card."""

from __future__ import annotations

import filecmp
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pybert_crf.encoders import upload
from pybert_crf.files import write_text
from pybert_crf.reading import read_text
from pybert_crf.taggers.model_card import description_of, facts_of, model_card

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
        unknown = "What it was trained on, and how well it does, is not recorded."
        kind = tagger.model.encoder.config.model_type
        return model_card(name, kind, description_of(tagger, "saved"), [*facts_of(tagger), unknown])
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
