"""The last state of an unfinished run, so that a killed one continues where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybert_crf.files import write_json
from pybert_crf.options import RunOptions

if TYPE_CHECKING:
    from accelerate import Accelerator

LAST = "checkpoint"
PROGRESS = "progress.json"

# How a run goes on may change between the two halves of a run; what is learnt may not.
_FREE = {"resume", "overwrite", "out", "train", "dev", "test", "text", "checkpoint_steps"}


def save_checkpoint(accelerator: Accelerator, out: Path, progress: dict[str, Any]) -> None:
    """Write model, optimiser, schedule, random states and `progress` to ``out/checkpoint``.

    The new checkpoint is complete before it takes the old one's name; a kill in between leaves one of them.
    """
    fresh, last, old = out / f"{LAST}.new", out / LAST, out / f"{LAST}.old"
    if accelerator.is_main_process:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(fresh))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        write_json(fresh / PROGRESS, progress)
        shutil.rmtree(old, ignore_errors=True)
        if last.exists():
            last.rename(old)
        fresh.rename(last)
        shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def find_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint in `out`, if there is one."""
    for name in (LAST, f"{LAST}.old"):
        if (out / name / PROGRESS).is_file():
            return out / name
    return None


def load_progress(checkpoint: Path, options: RunOptions) -> dict[str, Any]:
    """The progress that `save_checkpoint` wrote.

    Raises:
        ValueError: the run was started with other options; they are named.
    """
    progress: dict[str, Any] = json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8"))
    now, then = options.to_dict(), progress["options"]
    changed = [name for name in now if name not in _FREE and now[name] != then.get(name)]
    if changed:
        told = ", ".join(f"{name} was {then.get(name)!r}, is {now[name]!r}" for name in changed)
        raise ValueError(f"cannot resume {checkpoint.parent} with other options: {told}")
    return progress


def remove_checkpoint(out: Path) -> None:
    """Delete the checkpoint of a finished run."""
    for name in (LAST, f"{LAST}.old", f"{LAST}.new"):
        shutil.rmtree(out / name, ignore_errors=True)
