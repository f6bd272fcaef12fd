"""Write the seeds of a target into a folder: ``python seeds.py TARGET FOLDER``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # damages.py

if __name__ == "__main__":
    target, folder = importlib.import_module(f"{sys.argv[1]}_target"), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in target.seeds():
        (folder / name).write_bytes(content)
