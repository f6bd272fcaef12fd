"""A run of `pretrain`: the loop of `pybert_crf.training`, on masked windows of text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pybert_crf.encoders import MaskedLM
from pybert_crf.options import PretrainOptions
from pybert_crf.pretraining.batches import MaskedBatch, collate_masked
from pybert_crf.pretraining.evaluation import MaskedReport, evaluate_masked
from pybert_crf.pretraining.events import EpochDone, Finished, Observer, Size, Started
from pybert_crf.pretraining.results import write_results
from pybert_crf.pretraining.source import Source, open_source
from pybert_crf.pretraining.start import Learner, build_learner
from pybert_crf.training.checkpoints import remove_checkpoint
from pybert_crf.training.optimizer import build_optimizer
from pybert_crf.training.run import Run, build_accelerator
from pybert_crf.training.start import check_out

if TYPE_CHECKING:
    from accelerate import Accelerator


def pretrain(options: PretrainOptions, observer: Observer | None = None) -> Finished:
    """Train an encoder to predict masked pieces, and keep it in ``options.out`` for `train` to start from.

    The text is kept in memory, encoded: 8 bytes a piece.

    Args:
        options: text, encoder and how to learn.
        observer: called with every event (see `pybert_crf.pretraining.events`), in the main process only.

    Returns:
        The final event: figures of the saved model on the held-out part, and the history of the epochs.

    Raises:
        CorpusError: a file that is not UTF-8 or holds no text, a malformed line; by file and number.
        FileNotFoundError: a file or a checkpoint is missing.
        FileExistsError: `out` holds another run and neither `resume` nor `overwrite` is set.
        ValueError: options that cannot work, by name.
    """
    check_out(Path(options.out), options)
    source = open_source(options)
    accelerator = build_accelerator(options)
    learner, notes = build_learner(source)
    return _Run(source, observer or (lambda event: None), accelerator, learner, notes).run()


class _Run(Run[MaskedBatch]):
    """One run of `pretrain`: what its epochs share."""

    options: PretrainOptions

    def __init__(
        self,
        source: Source,
        observer: Observer,
        accelerator: Accelerator,
        learner: Learner,
        notes: tuple[str, ...],
    ) -> None:
        self.source, self.learner, self.notes = source, learner, notes
        options, out = source.options, Path(source.options.out)
        rate = options.rate()
        optimizer = build_optimizer(learner.model, rate, rate, options.weight_decay)
        lengths = learner.train.lengths
        super().__init__(options, out, observer, accelerator, learner.model, optimizer, lengths)

    def run(self) -> Finished:
        self.train_epochs(self._started)
        return self._finish()

    def _started(self, first: int) -> Started:
        learner = self.learner
        parts = {"train": learner.train, "dev": learner.dev}
        return Started(
            parts={name: Size(t.lines, len(t.ids), len(t.windows)) for name, t in parts.items()},
            unit=self.source.unit,
            mask_unit=self.source.mask_unit,
            masking=self.options.masking,
            vocab_size=learner.tokenizer.vocab_size,
            parameters=sum(p.numel() for p in learner.model.parameters() if p.requires_grad),
            device=str(self.accelerator.device),
            epoch=first,
            epochs=self.options.epochs,
            notes=self.notes,
        )

    def collate(self, rows: list[int], epoch: int) -> tuple[MaskedBatch, int]:
        batch = collate_masked(self.learner.train, rows, self.learner.window, self.learner.masking, epoch)
        return batch, len(batch.targets)

    def loss(self, batch: MaskedBatch) -> Tensor:
        batch = batch.to(self.accelerator.device)
        loss: Tensor = self.model(batch.input_ids, batch.attention_mask, batch.places, batch.targets)
        return loss

    def goodness(self, row: dict[str, Any]) -> float:
        return -float(row["dev_loss"])

    def judge(self, epoch: int, loss: float, seconds: float) -> None:
        dev = self._evaluate(self.learner.model)
        row = {"dev_loss": dev.loss, "dev_perplexity": dev.perplexity, "dev_accuracy": dev.accuracy}
        self.history.append({"epoch": epoch, "loss": loss, "seconds": seconds, **row})
        best = self.best_epoch() == epoch
        if (best or self.options.keep == "last") and self.accelerator.is_main_process:
            self.learner.model.save_pretrained(self.out)
            self.learner.tokenizer.save(self.out)
        self.tell(EpochDone(epoch, loss, seconds, dev, best))

    def _evaluate(self, model: MaskedLM) -> MaskedReport:
        learner = self.learner
        return evaluate_masked(model, learner.dev, learner.window, learner.masking, self.options.batch_tokens)

    def _finish(self) -> Finished:
        self.accelerator.wait_for_everyone()
        saved = MaskedLM.from_pretrained(self.out).to(self.accelerator.device)
        result = Finished(
            out=str(self.out),
            epoch=self.best_epoch() if self.options.keep == "best" else len(self.history),
            dev=self._evaluate(saved),
            history=self.history,
            seconds=sum(row["seconds"] for row in self.history),
        )
        if self.accelerator.is_main_process:
            write_results(self.out, result, self.learner, self.source)
            remove_checkpoint(self.out)
        self.tell(result)
        return result
