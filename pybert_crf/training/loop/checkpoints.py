"""The last state of an unfinished run, from which a killed one continues, and the directory it is kept in."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pybert_crf.encoders import CheckpointError, read_tensors, write_tensors
from pybert_crf.files import json_value, write_json
from pybert_crf.options import RunOptions
from pybert_crf.reading import ConfigError, quoted, read_object
from pybert_crf.taggers.tagger import ENSEMBLE
from pybert_crf.training.loop.processes import gathered

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.optim.lr_scheduler import LambdaLR

LAST = "checkpoint"
PROGRESS = "progress.json"
_PLACES = (LAST, f"{LAST}.old")

# May change between the two halves of a run: paths, and how to go on. What determines the weights may not.
_FREE = {
    "resume",
    "overwrite",
    "out",
    "train",
    "dev",
    "test",
    "text",
    "teacher",
    "checkpoint_steps",
    "language",
    "timeout",
    "track",
}

# Follow from the data if they are not given, so that data that have changed are to be named first.
_FITTED = {"batch_tokens", "learning_rate", "head_learning_rate", "warmup"}


def check_out(out: Path, options: RunOptions) -> None:
    """Refuse to write over an earlier run unasked.

    Raises:
        FileExistsError: `out` holds a model or a checkpoint, and neither `resume` nor `overwrite` is set.
    """
    finished, unfinished = (out / "metrics.json").exists(), find_checkpoint(out) is not None
    if options.resume and finished and not unfinished:
        raise FileExistsError(f"the run in {out} has finished: there is nothing to resume")
    if options.resume or options.overwrite:
        return
    if unfinished:
        raise FileExistsError(f"{out} holds an unfinished run: continue it with --resume, or --overwrite it")
    if (out / "config.json").exists() or (out / ENSEMBLE).exists():
        raise FileExistsError(f"{out} holds a model already: choose another --out, or --overwrite it")


class TrainingState:
    """The tensors of a run: weights, optimiser and random generators, in safetensors files; no code in them.

    The rest, numbers, is JSON: position in the schedule, the optimiser's settings, fp16's loss scale.
    """

    def __init__(
        self, accelerator: Accelerator, model: nn.Module, optimizer: Any, schedule: LambdaLR
    ) -> None:
        self.accelerator = accelerator
        self.model, self.optimizer, self.schedule = accelerator.unwrap_model(model), optimizer, schedule

    def save(self, directory: Path, averaging: nn.Module | None) -> dict[str, Any]:
        """Write the tensors into `directory`, in the first process; the numbers."""
        state = self.optimizer.state_dict()
        values = {f"{i}.{name}": v for i, own in state["state"].items() for name, v in _flat(own).items()}
        random = gathered({"cpu": torch.get_rng_state(), **self._device_random()})
        if self.accelerator.is_main_process:
            moments = {name: v for name, v in values.items() if isinstance(v, Tensor)}
            parts = {"weights": self.model.state_dict(), "optimizer": moments}
            parts |= {f"random-{rank}": states for rank, states in enumerate(random)}
            if averaging is not None:
                parts["averages"] = averaging.state_dict()
            for name, tensors in parts.items():
                (directory / name).mkdir()
                write_tensors(directory / name, tensors)
        scaler = self.accelerator.scaler
        return {
            "steps": self.schedule.last_epoch,
            "groups": state["param_groups"],
            "counts": {name: v for name, v in values.items() if not isinstance(v, Tensor)},
            "scaler": scaler.state_dict() if scaler else None,
        }

    def load(self, directory: Path, numbers: Mapping[str, Any], averaging: nn.Module | None) -> None:
        """Load what `save` wrote, and returned as `numbers`."""
        self.model.load_state_dict(read_tensors(directory / "weights"))
        if averaging is not None:
            averaging.load_state_dict(read_tensors(directory / "averages"))
        state: dict[int, dict[str, Any]] = {}
        for key, value in {**read_tensors(directory / "optimizer"), **numbers.get("counts", {})}.items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({"state": state, "param_groups": numbers["groups"]})
        self.schedule.last_epoch = numbers["steps"]
        self.schedule._last_lr = [group["lr"] for group in numbers["groups"]]
        if self.accelerator.scaler and numbers["scaler"]:
            self.accelerator.scaler.load_state_dict(numbers["scaler"])
        if self._own_random(directory).is_dir():  # else there were fewer processes
            random = read_tensors(self._own_random(directory))
            torch.set_rng_state(random["cpu"])
            if self._on_cuda and "cuda" in random:
                torch.cuda.set_rng_state(random["cuda"], self.accelerator.device)

    def set_step(self, step: int) -> None:
        """Go to a step of the schedule, counted from 0."""
        self.schedule.last_epoch = step
        rates = [
            base * factor(step)
            for base, factor in zip(self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.schedule.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.schedule._last_lr = rates

    def _own_random(self, directory: Path) -> Path:
        return directory / f"random-{self.accelerator.process_index}"

    def _device_random(self) -> dict[str, Tensor]:
        return {"cuda": torch.cuda.get_rng_state(self.accelerator.device)} if self._on_cuda else {}

    @property
    def _on_cuda(self) -> bool:
        return str(self.accelerator.device).startswith("cuda")


def save_checkpoint(
    state: TrainingState, out: Path, progress: dict[str, Any], averaging: nn.Module | None = None
) -> None:
    """Write `state`, the averages of its weights, and `progress` to ``out/checkpoint``, in the first process.

    The new checkpoint is complete before it takes the old one's name; a kill in between leaves one of them.
    """
    accelerator = state.accelerator
    fresh, last, old = out / f"{LAST}.new", out / LAST, out / f"{LAST}.old"
    if accelerator.is_main_process:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
    try:
        numbers = state.save(fresh, averaging)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)  # what is left of it may be what fills the disk
        raise
    if accelerator.is_main_process:
        progress = {**progress, "state": numbers, "files": _sums(fresh)}
        write_json(fresh / PROGRESS, {**progress, "sum": checksum(progress)})
        shutil.rmtree(old, ignore_errors=True)
        if last.exists():
            last.rename(old)
        fresh.rename(last)
        shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def find_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint in `out`; None if there is none."""
    return next((out / name for name in _PLACES if (out / name / PROGRESS).is_file()), None)


def load_progress(checkpoint: Path, options: RunOptions) -> dict[str, Any]:
    """The progress that `save_checkpoint` wrote, after a check of all files against its checksums.

    Raises:
        CheckpointError: a file is damaged; it is named.
        ValueError: the run was started with other options; they are named.
    """
    try:
        progress = read_object(checkpoint / PROGRESS)
    except ConfigError as error:
        raise _damaged(checkpoint / PROGRESS) from error
    if progress.pop("sum", None) != checksum(progress):
        raise _damaged(checkpoint / PROGRESS)
    check_options(progress["options"], options)
    found = _sums(checkpoint)
    for name, size_and_crc in progress["files"].items():
        if found.get(name) != size_and_crc:
            raise _damaged(checkpoint / name)
    return progress


def check_options(then: Mapping[str, Any], options: RunOptions) -> None:
    """Raise ``ValueError`` if a run that was started with the options `then` would go on with others.

    An option that is still to be fitted to the data is not compared.
    """
    now = options.to_dict()
    compared = [name for name in now if name not in _FREE and not (name in _FITTED and now[name] is None)]
    changed = [name for name in compared if now[name] != then.get(name)]
    if changed:
        told = ", ".join(f"{name} was {quoted(then.get(name))}, is {quoted(now[name])}" for name in changed)
        raise ValueError(f"cannot resume {now['out']} with other options: {told}")


def load_state(
    state: TrainingState,
    checkpoint: Path,
    progress: Mapping[str, Any],
    averaging: nn.Module | None = None,
) -> None:
    """Load the `state`, and the averages of its weights, that `save_checkpoint` wrote.

    Raises:
        CheckpointError: the files do not fit this run.
    """
    try:
        state.load(checkpoint, progress["state"], averaging)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, FileNotFoundError) as error:
        reason = str(error).partition("\n")[0][:100]
        raise CheckpointError(f"{checkpoint} does not fit this run: {reason}") from error


def remove_checkpoint(out: Path) -> None:
    """Delete the checkpoint of a finished run; after a kill in between, none that looks complete is left."""
    for name in (f"{LAST}.old", LAST):
        (out / name / PROGRESS).unlink(missing_ok=True)
    for name in (*_PLACES, f"{LAST}.new"):
        shutil.rmtree(out / name, ignore_errors=True)


def checksum(progress: dict[str, Any]) -> int:
    """CRC-32 of what is in a file of progress, as JSON."""
    as_read = json.loads(json.dumps(json_value(progress)))
    return zlib.crc32(json.dumps(as_read, sort_keys=True).encode())


def _sums(directory: Path) -> dict[str, list[int]]:
    """Size and CRC-32 of every file of tensors in `directory`, by its path there."""
    return {
        str(path.relative_to(directory).as_posix()): _size_and_crc(path)
        for path in sorted(directory.glob("*/*"))
        if path.is_file()
    }


def _size_and_crc(path: Path) -> list[int]:
    size = crc = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            size, crc = size + len(block), zlib.crc32(block, crc)
    return [size, crc]


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged, so nothing can be resumed: start again, with --overwrite instead of --resume"
    )


def _flat(state: Mapping[str, Any]) -> dict[str, Any]:
    """What an optimiser keeps of a parameter; bitsandbytes hides its tensors from FSDP in a dictionary."""
    plain = {name: value for name, value in state.items() if not isinstance(value, dict)}
    for hidden in state.values():
        plain |= hidden if isinstance(hidden, dict) else {}
    return plain
