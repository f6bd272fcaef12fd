"""The entry points of the package where it is not installed, for a program in whose path the folder is."""

from __future__ import annotations

import re
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def write_entry_points(folder: Path) -> None:
    """Write what an installation does of pyproject.toml's entry points for spaCy."""
    (entry,) = re.findall(
        r"^\[project\.entry-points\.spacy_factories\]\n(.+)$", PYPROJECT.read_text("utf-8"), re.M
    )
    information = folder / "entries_of_pybert_crf-0.0.0.dist-info"
    information.mkdir()
    name, target = entry.replace('"', "").split(" = ")
    (information / "entry_points.txt").write_text(f"[spacy_factories]\n{name} = {target}\n", encoding="utf-8")
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: entries_of_pybert_crf\nVersion: 0.0.0\n"
    )
