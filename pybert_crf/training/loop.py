"""A run of `train`: the loop of `run`, on the sentences of tagged corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pybert_crf.batches import Batch, collate, positions
from pybert_crf.evaluation import evaluate_corpus
from pybert_crf.options import TrainOptions
from pybert_crf.tagger import Tagger
from pybert_crf.training.checkpoints import remove_checkpoint
from pybert_crf.training.data import Data, encode, read_data, unknown_note
from pybert_crf.training.events import EpochDone, Finished, Observer, Started
from pybert_crf.training.optimizer import build_optimizer
from pybert_crf.training.results import write_results
from pybert_crf.training.run import Run, build_accelerator
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
    accelerator = build_accelerator(options)
    tagger = build_tagger(data, options)
    return _Run(options, observer or (lambda event: None), data, accelerator, tagger).run()


class _Run(Run[Batch]):
    """One run of `train`: what its epochs share."""

    options: TrainOptions

    def __init__(
        self, options: TrainOptions, observer: Observer, data: Data, accelerator: Accelerator, tagger: Tagger
    ) -> None:
        self.data, self.tagger = data, tagger
        self.examples = encode(data.train, tagger.tokenizer)
        lengths = [positions(example, tagger.window) for example in self.examples]
        optimizer = build_optimizer(tagger.model, *options.rates(), options.weight_decay)
        super().__init__(options, Path(options.out), observer, accelerator, tagger.model, optimizer, lengths)

    def run(self) -> Finished:
        self.train_epochs(self._started)
        return self._finish()

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

    def collate(self, rows: list[int], epoch: int) -> tuple[Batch, int]:
        batch = collate([self.examples[i] for i in rows], self.tagger.window)
        return batch, int(batch.mask.sum())

    def loss(self, batch: Batch) -> Tensor:
        loss: Tensor = self.model(batch.to(self.accelerator.device))
        return loss

    def goodness(self, row: dict[str, Any]) -> float:
        return float(row["dev_f1"])

    def judge(self, epoch: int, loss: float, seconds: float) -> None:
        report = evaluate_corpus(self.tagger, self.data.dev)
        self.history.append({"epoch": epoch, "loss": loss, "seconds": seconds, "dev_f1": report.f1})
        best = self.best_epoch() == epoch
        if best and self.accelerator.is_main_process:
            self.tagger.save_pretrained(self.out)
        self.tell(EpochDone(epoch, loss, seconds, report, best))

    def _finish(self) -> Finished:
        self.accelerator.wait_for_everyone()
        best = Tagger.from_pretrained(self.out, device=self.accelerator.device)
        result = Finished(
            out=str(self.out),
            best_epoch=self.best_epoch(),
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
