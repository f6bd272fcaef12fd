"""The training loop of every task. Device, precision and processes are left to Accelerate."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from pybert_crf.encoders import AdaptedMaskedLM, MaskedLM
from pybert_crf.model import BertCRF
from pybert_crf.options import RunOptions
from pybert_crf.training.events import EpochDone, Event, Finished, Observer, ReportT, Started, Stepped
from pybert_crf.training.levers.averaging import Averaging
from pybert_crf.training.levers.passes import set_passes
from pybert_crf.training.loop.accelerator import start_trackers
from pybert_crf.training.loop.batch_order import BatchOrder, repeated
from pybert_crf.training.loop.checkpoints import (
    TrainingState,
    check_options,
    find_checkpoint,
    load_progress,
    load_state,
    remove_checkpoint,
    save_checkpoint,
)
from pybert_crf.training.loop.finite import Place, check_figures, check_step, check_weights
from pybert_crf.training.loop.interruption import Interruption
from pybert_crf.training.loop.optimizer import build_scheduler
from pybert_crf.training.loop.processes import gathered, in_first, losses_told

if TYPE_CHECKING:
    from accelerate import Accelerator


class _Padded(Protocol):
    """A batch: `attention_mask` (windows, length) bool is false at padding."""

    @property
    def attention_mask(self) -> Tensor: ...


BatchT = TypeVar("BatchT", bound=_Padded)


@dataclass
class _Position:
    """The position of a run within an epoch: optimiser steps done, the sum of their losses, their seconds."""

    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0


class TrainingLoop(ABC, Generic[BatchT, ReportT]):
    """Epochs of optimiser steps, checkpoints and resuming; a subclass has a task's batches, loss and figures.

    Args:
        options: how to learn.
        out: directory of the result and, meanwhile, of checkpoints.
        observer: called with every event, in the main process only.
        accelerator: as `build_accelerator` made it.
        model: computes a batch's loss.
        optimizer: of the model's parameters.
        lengths: encoder positions of each example of this process.
        given: the options before some were fitted to the examples, if any were.
    """

    keeps_last = False  # whether the last epoch is kept instead of the best

    def __init__(
        self,
        options: RunOptions,
        out: Path,
        observer: Observer | None,
        accelerator: Accelerator,
        model: BertCRF | MaskedLM | AdaptedMaskedLM,
        optimizer: Optimizer,
        lengths: Sequence[int],
        given: RunOptions | None = None,
    ) -> None:
        self.given = given or options
        self.options, self.out, self.accelerator = options, out, accelerator
        self.tell: Observer = _ignore
        if observer is not None and accelerator.is_main_process:
            self.tell = observer
        assert options.batch_tokens is not None, "a task chooses it"
        self.order = BatchOrder(lengths, options.batch_tokens, options.seed)
        own = [len(self.order.epoch(epoch)) for epoch in range(1, options.epochs + 1)]
        self._counts = [max(counts) for counts in zip(*gathered(own), strict=True)]  # of batches, by epoch
        set_passes(model.encoder, options)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.steps = self._steps(options.epochs)
        self.scheduler = build_scheduler(self.optimizer.optimizer, self.steps, options.warmup)
        self.state = TrainingState(accelerator, self.model, self.optimizer, self.scheduler)
        self.averaging: Averaging | None = None
        self.interruption = Interruption(accelerator)
        self.history: list[dict[str, Any]] = []
        self._position = _Position()
        self._place = Place(0, 0, (), (), str)
        self._told: tuple[float, tuple[float, ...], int, int] = 0.0, (), 0, 0  # of `Stepped`, after its loss

    @abstractmethod
    def started(self, epoch: int) -> Started:
        """The event that the run begins with `epoch`."""

    @abstractmethod
    def content(self) -> str:
        """A hash of the examples, in training and on dev: a resumed run must have the same."""

    @abstractmethod
    def collate(self, rows: list[int], epoch: int) -> tuple[BatchT, int]:
        """The batch of some examples, on the CPU, and how many terms its mean loss has."""

    @abstractmethod
    def name_example(self, row: int) -> str:
        """What an error message calls an example, so that a user finds it."""

    @abstractmethod
    def loss(self, batch: BatchT) -> Tensor:
        """The mean loss of a batch, which is brought to the device."""

    def begin_epoch(self, epoch: int) -> None:
        """Called before the first step of `epoch` that this process does."""

    def backward(self, batch: BatchT, share: float) -> Tensor:
        """Add up the gradient of `share` of a batch's loss; that part of the loss, detached."""
        loss = self.loss(batch) * share
        self.accelerator.backward(loss)
        return loss.detach()

    @abstractmethod
    def evaluate(self) -> ReportT:
        """Figures on dev of the model as it is."""

    @abstractmethod
    def figures(self, dev: ReportT) -> dict[str, Any]:
        """What the history records of an epoch's figures."""

    @abstractmethod
    def quality(self, row: dict[str, Any]) -> tuple[float, ...]:
        """How good an epoch was, from its row of the history; the highest is the best."""

    def has_learnt(self, row: dict[str, Any]) -> bool:
        """Whether an epoch, from its row of the history, is good enough for patience to begin with it."""
        return True

    @abstractmethod
    def save(self) -> None:
        """Write the model as it is to `out`."""

    @abstractmethod
    def evaluate_saved(self) -> tuple[ReportT, ReportT | None]:
        """Figures on dev, and on test if there is one, of the model that `out` holds."""

    def warnings(self) -> tuple[str, ...]:
        """What the run should make its user think; called in the first process, after `evaluate_saved`."""
        return ()

    @abstractmethod
    def write_results(self, result: Finished[ReportT]) -> None:
        """Write ``metrics.json`` and the model card."""

    def run(self) -> Finished[ReportT]:
        """Train what is left of the epochs, and report on what was kept.

        Raises:
            FloatingPointError: a loss, gradient or weight is not finite; the last good state is kept.
            ProcessLostError: another process has died.
            Interrupted: SIGINT (Ctrl-C) or SIGTERM came, to any of the processes, and a checkpoint of the
                last step is saved. After a second signal the checkpoint is the one before.
        """
        with self.interruption.awaited(), losses_told(lambda: find_checkpoint(self.out) is not None):
            return self._run()

    def _run(self) -> Finished[ReportT]:
        self._resume()
        start_trackers(self.accelerator, self.options)
        first = len(self.history) + 1
        self.tell(self.started(first))
        for epoch in range(first, self.options.epochs + 1):
            if self._patience_is_over():
                break
            self._train_epoch(epoch)
            self._end_epoch(epoch)
            self._save_checkpoint()
            self.interruption.check()
        return self._finish()

    def _end_epoch(self, epoch: int) -> None:
        """Evaluate, add a row to the history, and write the model if it is to be kept."""
        done, self._position = self._position, _Position()
        losses, times = zip(*gathered((done.loss / max(1, done.step), done.seconds)), strict=True)
        loss, seconds = sum(losses) / len(losses), max(times)
        check_weights(self.model, self._place)
        with self.averaging.applied() if self.averaging else nullcontext():
            dev = self.evaluate()
            figures = self.figures(dev)
            check_figures(figures, self._place)
            self.history.append({"epoch": epoch, "loss": loss, "seconds": seconds, **figures})
            best = self.best_epoch() == epoch
            if (best or self.keeps_last) and self.accelerator.is_main_process:
                self.save()
        self._track(epoch, 0, {"epoch_loss": loss, **figures})
        self.tell(EpochDone(epoch, loss, seconds, dev, best))

    def _finish(self) -> Finished[ReportT]:
        dev, test = in_first(self.evaluate_saved)
        result = Finished(
            out=str(self.out),
            epoch=len(self.history) if self.keeps_last else self.best_epoch(),
            ended=self._ended(),
            dev=dev,
            test=test,
            history=self.history,
            seconds=sum(row["seconds"] for row in self.history),
            warnings=in_first(self.warnings),
        )
        if self.accelerator.is_main_process:
            self.write_results(result)
            remove_checkpoint(self.out)
        self.accelerator.end_training()
        self.tell(result)
        return result

    def best_epoch(self) -> int:
        """The first of the best epochs so far, from 1; 0 before any."""
        quality = [self.quality(row) for row in self.history]
        return 1 + max(range(len(quality)), key=quality.__getitem__, default=-1)

    def _steps(self, epochs: int) -> int:
        """Optimiser steps in the first `epochs` epochs."""
        return sum(math.ceil(count / self.options.accumulate) for count in self._counts[:epochs])

    def _resume(self) -> None:
        checkpoint = find_checkpoint(self.out) if self.options.resume else None
        self._check_seen(checkpoint)
        if checkpoint is not None:
            progress = load_progress(checkpoint, self.given)
            self.history = progress["history"]
            self._position = _Position(**progress["position"])
            self._check_same(progress["fingerprint"])
            check_options(progress["options"], self.options)
            load_state(self.state, checkpoint, progress, self.averaging)
            if progress["fingerprint"]["processes"] != self.accelerator.num_processes:
                self.state.set_step(self._steps(len(self.history)))  # an epoch has another number of steps

    def _check_seen(self, checkpoint: Path | None) -> None:
        seen = gathered(None if checkpoint is None else checkpoint.name)
        if blind := [str(rank) for rank, name in enumerate(seen) if name != seen[0]]:
            raise ValueError(
                f"cannot resume {self.out}: process {', '.join(blind)} does not see the checkpoint that "
                "process 0 sees there; all must see the same directory"
            )

    @cached_property
    def _fingerprint(self) -> dict[str, Any]:
        """What a resumed run must have in common: the examples, and how many processes share them."""
        return {"content": self.content(), "processes": self.accelerator.num_processes}

    def _check_same(self, then: dict[str, Any]) -> None:
        now = self._fingerprint
        if now["content"] != then["content"]:
            raise ValueError(f"cannot resume {self.out}: the training or dev data are not what they were")
        if self._position.step and now["processes"] != then["processes"]:
            told = f"{then['processes']} processes, now there are {now['processes']}"
            raise ValueError(
                f"cannot resume {self.out} within an epoch that was begun by {told}; "
                "only at the end of an epoch can their number change"
            )

    def _save_checkpoint(self) -> None:
        progress = {
            "history": self.history,
            "position": vars(self._position),
            "fingerprint": self._fingerprint,
            "options": self.options.to_dict(),
        }
        save_checkpoint(self.state, self.out, progress, self.averaging)

    def _patience_is_over(self) -> bool:
        patience, best = self.options.patience, self.best_epoch()
        if not patience or len(self.history) - best < patience:
            return False
        return self.has_learnt(self.history[best - 1])

    def _ended(self) -> str:
        done, epochs = len(self.history), self.options.epochs
        if done == epochs:
            return f"all {epochs} epochs are done"
        since = f"no better result on dev since epoch {self.best_epoch()}"
        return f"stopped after {done} of {epochs} epochs: {since} (--patience {self.options.patience})"

    def _train_epoch(self, epoch: int) -> None:
        self.model.train()
        self.begin_epoch(epoch)
        batches = repeated(self.order.epoch(epoch), self._counts[epoch - 1])
        size = self.options.accumulate
        groups = [batches[i : i + size] for i in range(0, len(batches), size)]
        position, every = self._position, self.options.checkpoint_steps
        total = torch.tensor(position.loss, dtype=torch.float64).to(self.accelerator.device, torch.float32)
        started = time.perf_counter() - position.seconds
        for step, group in enumerate(groups[position.step :], position.step + 1):
            self._place = self._place_of(epoch, step, group)
            loss = self._step(group, epoch)
            total += loss
            if self.accelerator.is_main_process:
                self._track_step(epoch, step, float(loss))
                self.tell(Stepped(epoch, step, len(groups), float(loss), *self._told))
            interrupted = self.interruption.has_come()
            if ((every and step % every == 0) or interrupted) and step < len(groups):
                check_weights(self.model, self._place)
                self._position = _Position(step, float(total), time.perf_counter() - started)
                self._save_checkpoint()
                self.interruption.check()
        self._position = _Position(len(groups), float(total), time.perf_counter() - started)

    def _track(self, epoch: int, step: int, figures: dict[str, Any]) -> None:
        """Give figures to the trackers, at a step of an epoch; 0 for the end of the epoch."""
        if self.accelerator.trackers:
            before = self._steps(epoch - 1 if step else epoch)
            self.accelerator.log(figures, step=before + step)

    def _track_step(self, epoch: int, step: int, loss: float) -> None:
        norm, rates, pieces, positions = self._told
        shown = {"loss": loss, "gradient": norm, "rate": min(rates), "head_rate": max(rates)}
        self._track(epoch, step, {**shown, "pieces": pieces, "padding": 1 - pieces / max(1, positions)})

    def _place_of(self, epoch: int, step: int, group: list[list[int]]) -> Place:
        rates = [members["lr"] for members in self.optimizer.param_groups]
        return Place(epoch, step, rates, [row for rows in group for row in rows], self.name_example)

    def _step(self, group: list[list[int]], epoch: int) -> Tensor:
        """One optimiser step over the batches of `group`, each weighted by its number of loss terms.

        Processes average their gradients; each one's loss is divided by their mean number of terms, so that
        the gradient is that of one process with all batches.
        """
        batches = [self.collate(rows, epoch) for rows in group]
        terms = self._mean(sum(count for _, count in batches))
        total = torch.zeros((), device=self.accelerator.device)
        for i, (batch, count) in enumerate(batches):
            last = i == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                total += self.backward(batch, count / terms)
        limit = self.options.clip or math.inf
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), limit)
        scaler = self.accelerator.scaler
        rates = tuple(sorted(set(self._place.rates), reverse=True))
        masks = [batch.attention_mask for batch, _ in batches]  # still on the CPU
        pieces, positions = sum(int(each.sum()) for each in masks), sum(each.numel() for each in masks)
        self._told = float(norm), rates, pieces, positions
        check_step(float(total), self._told[0], scaler.get_scale() if scaler else None, self._place)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        if self.averaging:
            self.averaging.update()
        return total

    def _mean(self, number: float) -> float:
        """The mean of every process's number, in all of them."""
        if self.accelerator.num_processes == 1:
            return number
        own = torch.tensor(float(number), device=self.accelerator.device)
        return float(self.accelerator.reduce(own, "mean"))


def _ignore(event: Event) -> None:
    pass
