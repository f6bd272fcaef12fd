"""The loop of every run, on Accelerate: device, precision and processes are its business, not ours."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pybert_crf.batches import Schedule
from pybert_crf.options import RunOptions
from pybert_crf.training.checkpoints import find_checkpoint, load_progress, save_checkpoint
from pybert_crf.training.events import Stepped
from pybert_crf.training.optimizer import build_scheduler

if TYPE_CHECKING:
    from accelerate import Accelerator

Batch = TypeVar("Batch")


def build_accelerator(options: RunOptions) -> Accelerator:
    """A fresh accelerator of the wanted precision; random numbers start at the seed."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import set_seed

    AcceleratorState._reset_state()  # a second run in the same process may want another precision
    # Without `cpu` Accelerate takes the processes of a torchrun on CPUs for so many separate runs.
    cpu = not torch.accelerator.is_available()
    accelerator = Accelerator(mixed_precision=options.precision, cpu=cpu)
    set_seed(options.seed)
    return accelerator


@dataclass
class _Position:
    """Where in an epoch a run stands: optimiser steps done, the sum of their losses, their seconds."""

    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0


class Run(ABC, Generic[Batch]):
    """Epochs of optimiser steps, checkpoints, resuming; what is learnt and how it is judged, subclasses say.

    Args:
        options: how to learn.
        out: where checkpoints go.
        tell: called with every event.
        accelerator: as `build_accelerator` made it.
        model: computes a batch's loss.
        optimizer: of the model's parameters.
        lengths: encoder positions of each example.
    """

    def __init__(
        self,
        options: RunOptions,
        out: Path,
        tell: Callable[[Any], None],
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: Optimizer,
        lengths: Sequence[int],
    ) -> None:
        self.options, self.out, self.accelerator = options, out, accelerator
        self.tell = tell if accelerator.is_main_process else lambda event: None
        self.schedule = Schedule(
            lengths,
            options.batch_tokens,
            options.seed,
            accelerator.process_index,
            accelerator.num_processes,
        )
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.scheduler = build_scheduler(self.optimizer.optimizer, self._steps(), options.warmup)
        accelerator.register_for_checkpointing(self.scheduler)
        self.history: list[dict[str, Any]] = []
        self._position = _Position()

    @abstractmethod
    def collate(self, rows: list[int], epoch: int) -> tuple[Batch, int]:
        """The batch of some examples, on the CPU, and how many terms its mean loss has."""

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The mean loss of a batch, brought to the device."""

    @abstractmethod
    def judge(self, epoch: int, loss: float, seconds: float) -> None:
        """Evaluate after `epoch`: add a row to the history, keep the model where it is to be kept, tell."""

    @abstractmethod
    def goodness(self, row: dict[str, Any]) -> float:
        """How good an epoch was, from its row of the history; the highest is the best."""

    def train_epochs(self, started: Callable[[int], Any]) -> None:
        """Train what is left of the epochs, after telling what `started` makes of the first one's number."""
        self._resume()
        first = len(self.history) + 1
        self.tell(started(first))
        for epoch in range(first, self.options.epochs + 1):
            if self._patience_is_over():
                break
            self._train_epoch(epoch)
            done, self._position = self._position, _Position()
            self.judge(epoch, done.loss / max(1, done.step), done.seconds)
            self._save()

    def best_epoch(self) -> int:
        """The first of the best epochs so far, from 1; 0 before any."""
        goodness = [self.goodness(row) for row in self.history]
        return 1 + max(range(len(goodness)), key=goodness.__getitem__, default=-1)

    def _steps(self) -> int:
        batches = (len(self.schedule.epoch(epoch)) for epoch in range(1, self.options.epochs + 1))
        return sum(math.ceil(count / self.options.accumulate) for count in batches)

    def _resume(self) -> None:
        checkpoint = find_checkpoint(self.out) if self.options.resume else None
        if checkpoint is not None:
            progress = load_progress(checkpoint, self.options)
            self.history = progress["history"]
            self._position = _Position(**progress["position"])
            self._check_same(progress["fingerprint"])
            self.accelerator.load_state(str(checkpoint))

    def _fingerprint(self) -> dict[str, int]:
        """What must be the same for a step to be the same step: the examples' lengths, and between whom they
        are divided."""
        lengths = torch.tensor(self.schedule.lengths, dtype=torch.int64).numpy().tobytes()
        return {"lengths": crc32(lengths), "processes": self.accelerator.num_processes}

    def _check_same(self, then: dict[str, int]) -> None:
        now = self._fingerprint()
        if now["lengths"] != then["lengths"]:
            raise ValueError(f"cannot resume {self.out}: the training text is not what it was")
        if self._position.step and now["processes"] != then["processes"]:
            told = f"{then['processes']} processes, now there are {now['processes']}"
            raise ValueError(f"cannot resume {self.out} within an epoch that was begun by {told}")

    def _save(self) -> None:
        progress = {
            "history": self.history,
            "position": vars(self._position),
            "fingerprint": self._fingerprint(),
            "options": self.options.to_dict(),
        }
        save_checkpoint(self.accelerator, self.out, progress)

    def _patience_is_over(self) -> bool:
        patience = self.options.patience
        return patience > 0 and len(self.history) - self.best_epoch() >= patience

    def _train_epoch(self, epoch: int) -> None:
        self.model.train()
        batches = self.schedule.epoch(epoch)
        size = self.options.accumulate
        groups = [batches[i : i + size] for i in range(0, len(batches), size)]
        position, every = self._position, self.options.checkpoint_steps
        total = torch.tensor(position.loss, dtype=torch.float64).to(self.accelerator.device, torch.float32)
        started = time.perf_counter() - position.seconds
        for step, group in enumerate(groups[position.step :], position.step + 1):
            loss = self._step(group, epoch)
            total += loss
            if self.accelerator.is_main_process:
                self.tell(Stepped(epoch, step, len(groups), float(loss)))
            if every and step % every == 0 and step < len(groups):
                self._position = _Position(step, float(total), time.perf_counter() - started)
                self._save()
        self._position = _Position(len(groups), float(total), time.perf_counter() - started)

    def _step(self, group: list[list[int]], epoch: int) -> Tensor:
        """One optimiser step over the batches of `group`, each weighed by the number of its loss's terms."""
        batches = [self.collate(rows, epoch) for rows in group]
        terms = sum(count for _, count in batches)
        total = torch.zeros((), device=self.accelerator.device)
        for i, (batch, count) in enumerate(batches):
            last = i == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                loss = self.loss(batch) * (count / terms)
                self.accelerator.backward(loss)
            total += loss.detach()
        if self.options.clip:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        return total
