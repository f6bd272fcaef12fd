"""The training loop, on Accelerate: device, precision and processes are its business, not ours."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pybert_crf.batches import Schedule, collate, positions
from pybert_crf.evaluation import evaluate_corpus
from pybert_crf.options import TrainOptions
from pybert_crf.tagger import Tagger
from pybert_crf.training.checkpoints import find_checkpoint, load_progress, remove_checkpoint, save_checkpoint
from pybert_crf.training.data import Data, encode, read_data, unknown_note
from pybert_crf.training.events import EpochDone, Finished, Observer, Started, Stepped
from pybert_crf.training.optimizer import build_optimizer, build_scheduler
from pybert_crf.training.results import write_results
from pybert_crf.training.start import build_tagger, check_out

if TYPE_CHECKING:
    from accelerate import Accelerator


def train(options: TrainOptions, observer: Observer | None = None) -> Finished:
    """Train a tagger, keep the best epoch's in ``options.out``, and report on dev and test.

    Args:
        options: corpora, encoder and how to learn.
        observer: called with every event (see `pybert_crf.training.events`), in the main process only.

    Returns:
        The final event: metrics of the saved tagger, and the history of the epochs.

    Raises:
        CorpusError: a malformed line, by file and number.
        FileNotFoundError: a corpus or a checkpoint is missing.
        FileExistsError: `out` holds another run and neither `resume` nor `overwrite` is set.
        ValueError: options that cannot work, by name.
    """
    out = Path(options.out)
    check_out(out, options)
    data = read_data(options)
    accelerator = _accelerator(options)
    tagger = build_tagger(data, options)
    return _Run(options, observer or (lambda event: None), data, accelerator, tagger).run()


def _accelerator(options: TrainOptions) -> Accelerator:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import set_seed

    AcceleratorState._reset_state()  # a second run in the same process may want another precision
    # Without `cpu` Accelerate takes the processes of a torchrun on CPUs for so many separate runs.
    cpu = not torch.accelerator.is_available()
    accelerator = Accelerator(mixed_precision=options.precision, cpu=cpu)
    set_seed(options.seed)
    return accelerator


class _Run:
    """One run of `train`: what its epochs share."""

    def __init__(
        self, options: TrainOptions, observer: Observer, data: Data, accelerator: Accelerator, tagger: Tagger
    ) -> None:
        self.options, self.data, self.accelerator, self.tagger = options, data, accelerator, tagger
        self.out = Path(options.out)
        self.tell: Observer = observer if accelerator.is_main_process else lambda event: None
        self.examples = encode(data.train, tagger.tokenizer)
        self.schedule = Schedule(
            [positions(example, tagger.window) for example in self.examples],
            options.batch_tokens,
            options.seed,
            accelerator.process_index,
            accelerator.num_processes,
        )
        self.model, self.optimizer = accelerator.prepare(tagger.model, build_optimizer(tagger.model, options))
        self.scheduler = build_scheduler(self.optimizer.optimizer, self._steps(), options.warmup)
        accelerator.register_for_checkpointing(self.scheduler)
        self.history: list[dict[str, Any]] = []

    def _steps(self) -> int:
        batches = (len(self.schedule.epoch(epoch)) for epoch in range(1, self.options.epochs + 1))
        return sum(math.ceil(count / self.options.accumulate) for count in batches)

    def run(self) -> Finished:
        self._resume()
        first = len(self.history) + 1
        self.tell(self._started(first))
        for epoch in range(first, self.options.epochs + 1):
            if self._patience_is_over():
                break
            self._epoch(epoch)
        return self._finish()

    def _resume(self) -> None:
        checkpoint = find_checkpoint(self.out) if self.options.resume else None
        if checkpoint is not None:
            self.history = load_progress(checkpoint, self.options)["history"]
            self.accelerator.load_state(str(checkpoint))

    def _started(self, first: int) -> Started:
        return Started(
            sentences={name: len(corpus.sentences) for name, corpus in self.data.parts.items()},
            scheme=self.tagger.scheme,
            unit=self.tagger.unit,
            labels=self.tagger.model.labels,
            parameters=sum(p.numel() for p in self.tagger.model.parameters() if p.requires_grad),
            device=str(self.accelerator.device),
            epoch=first,
            epochs=self.options.epochs,
            notes=self.data.notes() + unknown_note(self.examples, self.tagger.tokenizer, self.tagger.unit),
        )

    def _best_epoch(self) -> int:
        return 1 + max(range(len(self.history)), key=lambda row: self.history[row]["dev_f1"], default=-1)

    def _patience_is_over(self) -> bool:
        patience = self.options.patience
        return patience > 0 and len(self.history) - self._best_epoch() >= patience

    def _epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        loss = self._train_epoch(epoch)
        seconds = time.perf_counter() - started
        report = evaluate_corpus(self.tagger, self.data.dev)
        self.history.append({"epoch": epoch, "loss": loss, "seconds": seconds, "dev_f1": report.f1})
        best = self._best_epoch() == epoch
        if best and self.accelerator.is_main_process:
            self.tagger.save_pretrained(self.out)
        progress = {"history": self.history, "options": self.options.to_dict()}
        save_checkpoint(self.accelerator, self.out, progress)
        self.tell(EpochDone(epoch, loss, seconds, report, best))

    def _train_epoch(self, epoch: int) -> float:
        self.model.train()
        batches = self.schedule.epoch(epoch)
        size = self.options.accumulate
        groups = [batches[i : i + size] for i in range(0, len(batches), size)]
        total = torch.zeros((), device=self.accelerator.device)
        for step, group in enumerate(groups, 1):
            loss = self._step(group)
            total += loss
            if self.accelerator.is_main_process:
                self.tell(Stepped(epoch, step, len(groups), float(loss)))
        return float(total) / max(1, len(groups))

    def _step(self, group: list[list[int]]) -> Tensor:
        """One optimiser step over the batches of `group`, each weighed by its number of units."""
        batches = [collate([self.examples[i] for i in rows], self.tagger.window) for rows in group]
        units = [int(batch.mask.sum()) for batch in batches]
        total = torch.zeros((), device=self.accelerator.device)
        for i, batch in enumerate(batches):
            last = i == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                loss = self.model(batch.to(self.accelerator.device)) * (units[i] / sum(units))
                self.accelerator.backward(loss)
            total += loss.detach()
        if self.options.clip:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        return total

    def _finish(self) -> Finished:
        self.accelerator.wait_for_everyone()
        best = Tagger.from_pretrained(self.out, device=self.accelerator.device)
        result = Finished(
            out=str(self.out),
            best_epoch=self._best_epoch(),
            dev=evaluate_corpus(best, self.data.dev),
            test=evaluate_corpus(best, self.data.test) if self.data.test is not None else None,
            history=self.history,
            seconds=sum(row["seconds"] for row in self.history),
        )
        if self.accelerator.is_main_process:
            write_results(self.out, result, best, self.options)
            remove_checkpoint(self.out)
        self.tell(result)
        return result
