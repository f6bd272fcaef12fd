"""The task of pretraining: an encoder and its MLM head, on masked windows of text."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pybert_crf.encoders import AnyMaskedLM, open_masked_lm
from pybert_crf.options import PretrainOptions
from pybert_crf.training.events import Finished, Observer, PretrainingStarted, TextSize
from pybert_crf.training.loop.accelerator import build_accelerator
from pybert_crf.training.loop.checkpoints import check_out
from pybert_crf.training.loop.directory import reserve
from pybert_crf.training.loop.optimizer import build_optimizer
from pybert_crf.training.loop.processes import gathered, in_first
from pybert_crf.training.loop.training_loop import TrainingLoop
from pybert_crf.training.masked_lm.collation import MaskedBatch, collate_masked
from pybert_crf.training.masked_lm.learner import Learner, build_learner
from pybert_crf.training.masked_lm.perplexity import MaskedReport, evaluate_masked
from pybert_crf.training.masked_lm.source import Source, open_source
from pybert_crf.training.masked_lm.texts import hash_text, hash_windows
from pybert_crf.training.results import masked_lm_card, write_results

if TYPE_CHECKING:
    from accelerate import Accelerator


def pretrain(options: PretrainOptions, observer: Observer | None = None) -> Finished[MaskedReport]:
    """Train an encoder to predict masked pieces, and keep it in ``options.out`` for `train` to start from.

    The text is kept in memory, encoded: 8 bytes a piece. Of several processes each keeps its share.

    Args:
        options: text, encoder and how to learn.
        observer: called with every event (see `pybert_crf.training.events`), in the main process only.

    Returns:
        The final event: figures of the saved model on the held-out part, and the history of the epochs.

    Raises:
        CorpusError: a file that is not UTF-8 or holds no text, a malformed line; by file and number.
        FileNotFoundError: a file or a checkpoint is missing.
        FileExistsError: `out` holds another run and neither `resume` nor `overwrite` is set, or another run
            is writing into it.
        FloatingPointError: a loss, gradient or weight is not finite; the last good state is kept.
        ValueError: options that do not fit text or checkpoint, by name.
    """
    with reserve(Path(options.out)):
        check_out(Path(options.out), options)
        accelerator = build_accelerator(options)
        source = in_first(lambda: open_source(options))
        learner, notes = build_learner(source)
        return PretrainingTask(source, observer, accelerator, learner, notes).run()


class PretrainingTask(TrainingLoop[MaskedBatch, MaskedReport]):
    """The loop of `pretrain`."""

    options: PretrainOptions

    def __init__(
        self,
        source: Source,
        observer: Observer | None,
        accelerator: Accelerator,
        learner: Learner,
        notes: tuple[str, ...],
    ) -> None:
        self.source, self.learner, self.notes = source, learner, notes
        options, out = source.options, Path(source.options.out)
        self.keeps_last = options.keep == "last"
        rate = options.rate()
        optimizer = build_optimizer(learner.model, rate, rate, options.weight_decay, kind=options.optimizer)
        lengths = learner.train.lengths
        super().__init__(options, out, observer, accelerator, learner.model, optimizer, lengths)

    def started(self, epoch: int) -> PretrainingStarted:
        learner = self.learner
        parts = {"train": learner.whole, "dev": learner.dev.counts}
        return PretrainingStarted(
            parts={name: TextSize(t.lines, t.pieces, t.windows) for name, t in parts.items()},
            unit=self.source.unit,
            mask_unit=self.source.mask_unit,
            masking=self.options.masking,
            vocab_size=learner.tokenizer.vocab_size,
            parameters=sum(p.numel() for p in learner.model.parameters() if p.requires_grad),
            device=str(self.accelerator.device),
            epoch=epoch,
            epochs=self.options.epochs,
            notes=self.notes,
        )

    def collate(self, rows: list[int], epoch: int) -> tuple[MaskedBatch, int]:
        batch = collate_masked(self.learner.train, rows, self.learner.layout, self.learner.masking, epoch)
        return batch, len(batch.targets)

    def content(self) -> str:
        text = in_first(lambda: hash_text(chain(self.source.train(), self.source.dev())))
        windows = sum(gathered(hash_windows(self.learner.train))) + hash_windows(self.learner.dev)
        return f"{text}{windows % 2**256:064x}"

    def name_example(self, row: int) -> str:
        return f"window {row + 1} of train"

    def loss(self, batch: MaskedBatch) -> Tensor:
        batch = batch.to(self.accelerator.device)
        loss: Tensor = self.model(batch.input_ids, batch.attention_mask, batch.places, batch.targets)
        return loss

    def evaluate(self) -> MaskedReport:
        return self._evaluate(self.learner.model)

    def _evaluate(self, model: AnyMaskedLM) -> MaskedReport:
        learner = self.learner
        return evaluate_masked(model, learner.dev, learner.layout, learner.masking, self.options.batch_tokens)

    def figures(self, dev: MaskedReport) -> dict[str, Any]:
        return {"dev_loss": dev.loss, "dev_perplexity": dev.perplexity, "dev_accuracy": dev.accuracy}

    def quality(self, row: dict[str, Any]) -> tuple[float, ...]:
        return (-float(row["dev_loss"]),)

    def save(self) -> None:
        self.learner.model.save_pretrained(self.out)
        self.learner.tokenizer.save(self.out)

    def evaluate_saved(self) -> tuple[MaskedReport, None]:
        return self._evaluate(open_masked_lm(self.out).to(self.accelerator.device)), None

    def write_results(self, result: Finished[MaskedReport]) -> None:
        learner, source = self.learner, self.source
        pieces = {"train": learner.whole.pieces, "dev": learner.dev.counts.pieces}
        told = {"unit": source.unit, "mask_unit": source.mask_unit}
        config = learner.model.encoder.config
        card = masked_lm_card(result, config, self.options, pieces=pieces["train"], **told)
        write_results(result, card, self.options, pieces=pieces, **told)
