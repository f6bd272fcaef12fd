"""Choose the kept inputs: ``python keep.py FOLDER``, where ``run.sh`` has left what it found.

Of each target's inputs a set as small as possible with the same coverage is kept, besides its seeds and what
has been found before and has a name, and within `MOST` bytes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz import TARGETS, load

HERE = Path(__file__).parent
MOST = 45_000
_CHOSEN = re.compile("[0-9a-f]{12}")  # names of what was chosen before


def keep(target: str, found: Path) -> None:
    """Write the kept inputs of one target anew."""
    kept = HERE / "kept" / target
    kept.mkdir(parents=True, exist_ok=True)
    for path in kept.iterdir():
        if _CHOSEN.fullmatch(path.name):
            path.unlink()
    for name, content in load(target).seeds():
        (kept / name).write_bytes(content)
    room = MOST - sum(path.stat().st_size for path in kept.iterdir())
    with tempfile.TemporaryDirectory() as merged:
        command = [
            sys.executable,
            str(HERE / "fuzz.py"),
            target,
            "-set_cover_merge=1",
            merged,
            str(kept),
            str(found),
        ]
        subprocess.run(command, check=True, capture_output=True)
        for path in sorted(Path(merged).iterdir(), key=lambda path: (path.stat().st_size, path.name)):
            room -= path.stat().st_size
            if room < 0:
                break
            (kept / path.name[:12]).write_bytes(path.read_bytes())


if __name__ == "__main__":
    for each in TARGETS:
        keep(each, Path(sys.argv[1]) / each)
