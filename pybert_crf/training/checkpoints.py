"""The last state of an unfinished run, from which a killed one continues, and the directory it is kept in."""

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

# May change between the two halves of a run: paths, and how to go on. What determines the weights may not.
_FREE = {"resume", "overwrite", "out", "train", "dev", "test", "text", "checkpoint_steps"}


def check_out(out: Path, options: RunOptions) -> None:
    """Refuse to write over an earlier run unasked.

    Raises:
        FileExistsError: `out` holds a model or a checkpoint, and neither `resume` nor `overwrite` is set.
        NotADirectoryError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file; --out must name a directory")
    finished, unfinished = (out / "metrics.json").exists(), find_checkpoint(out) is not None
    if options.resume and finished and not unfinished:
        raise FileExistsError(f"the run in {out} has finished: there is nothing to resume")
    if options.resume or options.overwrite:
        return
    if unfinished:
        raise FileExistsError(f"{out} holds an unfinished run: continue it with --resume, or --overwrite it")
    if (out / "config.json").exists():
        raise FileExistsError(f"{out} holds a model already: choose another --out, or --overwrite it")


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
    """The newest complete checkpoint in `out`; None if there is none."""
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
