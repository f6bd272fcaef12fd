"""The task of training a tagger: encoder, linear layer and CRF, on the sentences of tagged corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pybert_crf.batches import Batch, collate
from pybert_crf.encoders import AnyEncoder, open_encoder, resolve
from pybert_crf.evaluation import TaggedCorpus, evaluate_corpus, tag_corpus
from pybert_crf.model import BertCRF, write_temperature
from pybert_crf.options import TrainOptions
from pybert_crf.tagger import Tagger
from pybert_crf.text.corpora.corpus import cut_alike, words_of
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.text.tagging.schemes import PLAIN
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training.calibrating import Calibration, calibrate, calibration_note
from pybert_crf.training.corpora import (
    Corpora,
    check_drawn,
    encode_corpus,
    encode_untagged,
    hash_corpora,
    read_corpora,
    unknown_note,
)
from pybert_crf.training.events import Finished, Observer, TaggingStarted
from pybert_crf.training.fitting import fitted, plan_note
from pybert_crf.training.levers import prepare
from pybert_crf.training.levers.adversarial import build_attack
from pybert_crf.training.levers.averaging import Averaging
from pybert_crf.training.levers.distillation import Teacher, open_teacher
from pybert_crf.training.levers.freezing import Freezing, rate_factors
from pybert_crf.training.levers.lora import lora_base
from pybert_crf.training.loop.checkpoints import check_out
from pybert_crf.training.loop.directory import reserve
from pybert_crf.training.loop.optimizer import build_optimizer, trained_parameters
from pybert_crf.training.loop.training_loop import TrainingLoop, build_accelerator
from pybert_crf.training.mean_loss import mean_loss
from pybert_crf.training.report import write_report
from pybert_crf.training.results import tagger_card, write_results
from pybert_crf.training.start import (
    check_attention,
    check_vocabulary,
    context_notes,
    encoder_dtype,
    labels_of,
    low_precision_note,
    new_encoder,
    new_tokenizer,
    read_head,
    wanted_context,
)

if TYPE_CHECKING:
    from accelerate import Accelerator


def train_one(options: TrainOptions, observer: Observer | None = None) -> Finished[Report]:
    """One run; arguments, result and errors as `pybert_crf.train`."""
    with reserve(Path(options.out)):
        check_out(Path(options.out), options)
        teacher = open_teacher(options)
        corpora = read_corpora(options, teacher)
        accelerator = build_accelerator(options)
        tagger = build_tagger(corpora, options, teacher)
        corpora = corpora.in_scheme(tagger.scheme)
        return TaggingTask(options, observer, corpora, accelerator, tagger, teacher).run()


def build_tagger(corpora: Corpora, options: TrainOptions, teacher: Tagger | None = None) -> Tagger:
    """The tagger to train: encoder and tokenizer as `options.model` says, and a new linear layer and CRF.

    From a saved tagger, or a token classifier of transformers, the labels that the training data share with
    it keep their weights. The scheme is then the saved tagger's, to which the corpora are converted. With a
    teacher, labels and scheme are the teacher's.

    Raises:
        FileNotFoundError: the pretrained encoder or a file of it is missing.
        ValueError: encoder and tokenizer do not fit together, the encoder does not allow the attention that
            is asked for, or a saved tagger has another unit, or other labels than the teacher.
    """
    head = None
    if options.from_scratch:
        tokens = [sentence.tokens for sentence in corpora.train.sentences]
        tokens += [text.units for text in corpora.untagged.texts]
        tokenizer = new_tokenizer(tokens, corpora.unit, options)
        encoder: AnyEncoder = new_encoder(tokenizer, options)
    else:
        directory = resolve(options.model, revision=options.revision)
        tokenizer = UnitTokenizer.from_directory(directory, corpora.unit)
        dtype = encoder_dtype(directory, options)
        encoder = open_encoder(directory, dtype=dtype, bidirectional=options.bidirectional)
        check_attention(encoder, options)
        check_vocabulary(tokenizer, encoder.config, options)
        head = read_head(directory)
    if head is not None and head.unit not in (None, corpora.unit):
        raise ValueError(
            f"{options.model} tags each {head.unit}, but train is read by {corpora.unit}: see --unit"
        )
    labels, scheme = labels_of(corpora.train, options, head, teacher)
    model = BertCRF(encoder, labels, None if scheme == PLAIN else scheme, options.dropout)
    if head is not None:
        head.copy_to(model)
    if teacher is not None and not corpora.train.sentences:
        alike, words = teacher.cut_alike, teacher.words
    else:
        alike, words = cut_alike(corpora.train.sentences, corpora.unit), words_of(corpora.train)
    context = wanted_context(options) if corpora.train.has_documents else 0
    return Tagger(model, tokenizer, corpora.unit, cut_alike=alike, words=words, context=context)


LEARNT = 0.1
"""The dev F1 from which patience counts: below it, one epoch is better than another by a lucky guess."""


class TaggingTask(TrainingLoop[Batch, Report]):
    """The loop of `train`."""

    options: TrainOptions
    given: TrainOptions

    def __init__(
        self,
        options: TrainOptions,
        observer: Observer | None,
        corpora: Corpora,
        accelerator: Accelerator,
        tagger: Tagger,
        teacher: Tagger | None = None,
    ) -> None:
        self.corpora, self.tagger, given = corpora, tagger, options
        self._tagged: dict[str, TaggedCorpus] = {}  # what the saved tagger found
        self._calibration: Calibration | None = None  # of the saved tagger
        if not options.dev:
            check_drawn(corpora, tagger.context)
        tagged = encode_corpus(corpora.train, tagger)
        self.examples = tagged + encode_untagged(corpora, tagger)
        lengths = [example.positions for example in self.examples]
        options = fitted(options, lengths, tagger.model.encoder)
        self.teacher: Teacher | None = None
        if teacher is not None:
            units = [each.tokens for each in corpora.train.sentences]
            units += [each.units for each in corpora.untagged.texts]
            documents = [each.document for each in corpora.train.sentences] + [0] * len(
                corpora.untagged.texts
            )
            teacher = teacher.to(accelerator.device)
            self.teacher = Teacher(teacher, units, options.teacher_weight, documents)
        self.lever_notes = prepare(tagger, tagged, options, self.teacher)
        self.base = lora_base(options)
        self.freezing = Freezing(tagger.model.encoder, options)
        if options.frozen_epochs and accelerator.num_processes > 1:
            raise ValueError("frozen_epochs must be 0 with several processes, which agree on what is trained")
        factors = rate_factors(tagger.model.encoder, options.layer_decay)
        optimizer = build_optimizer(tagger.model, *options.rates(), options.weight_decay, factors)
        out = Path(options.out)
        super().__init__(options, out, observer, accelerator, tagger.model, optimizer, lengths, given)
        table = tagger.model.encoder.piece_embeddings
        self.attack = build_attack(accelerator, self.model, table, options)
        if options.average:
            self.averaging = Averaging(trained_parameters(optimizer), options.average)

    def started(self, epoch: int) -> TaggingStarted:
        unknown = unknown_note(self.examples, self.tagger.tokenizer, self.tagger.unit)
        self._started = TaggingStarted(
            sentences=self.corpora.sizes,
            taken=tuple(note for corpus in self.corpora.parts.values() for note in corpus.notes),
            plan=plan_note(self.given, self.options, self.order.lengths, self.steps),
            scheme=self.tagger.scheme,
            unit=self.tagger.unit,
            labels=self.tagger.model.labels,
            parameters=sum(p.numel() for p in self.tagger.model.parameters() if p.requires_grad),
            device=str(self.accelerator.device),
            epoch=epoch,
            epochs=self.options.epochs,
            notes=self.corpora.notes()
            + unknown
            + self.tagger.model.encoder.notes
            + low_precision_note(self.tagger.model.encoder)
            + self._head_note()
            + context_notes(self.corpora, self.tagger.context, self.options)
            + self.lever_notes,
        )
        return self._started

    def collate(self, rows: list[int], epoch: int) -> tuple[Batch, int]:
        batch = collate([self.examples[i] for i in rows], self.tagger.layout)
        if self.teacher is not None:
            batch = self.teacher.teach(batch, rows)
        return batch, int(batch.mask.sum())

    def _head_note(self) -> tuple[str, ...]:
        if self.options.from_scratch:
            return ()
        head = read_head(resolve(self.options.model, revision=self.options.revision))
        return () if head is None else (head.note(self.options.model, self.tagger.model.labels),)

    def content(self) -> str:
        digest = hash_corpora(self.corpora, self.examples, self.tagger.context)
        return digest if self.teacher is None else f"{digest} {self.teacher.content()}"

    def name_example(self, row: int) -> str:
        tagged = self.corpora.train.sentences
        if row < len(tagged):
            return self.corpora.train.place(tagged[row])
        text = self.corpora.untagged.texts[row - len(tagged)]
        return f"{text.file}, text {text.number}"

    def begin_epoch(self, epoch: int) -> None:
        self.freezing.begin(epoch)

    def loss(self, batch: Batch) -> Tensor:
        loss: Tensor = self.model(batch.to(self.accelerator.device))
        return loss

    def backward(self, batch: Batch, share: float) -> Tensor:
        if self.attack is None:
            return super().backward(batch, share)
        return self.attack.backward(lambda: self.loss(batch) * share)

    def evaluate(self) -> Report:
        return evaluate_corpus(self.tagger, self.corpora.dev)

    def figures(self, dev: Report) -> dict[str, float]:
        """The F1; and the loss, which alone says what is learnt before any entity is found."""
        return {"dev_f1": dev.f1} | ({} if dev.f1 else {"dev_loss": mean_loss(self.tagger, self.corpora.dev)})

    def quality(self, row: dict[str, Any]) -> tuple[float, ...]:
        return float(row["dev_f1"]), -float(row.get("dev_loss", 0.0))

    def has_learnt(self, row: dict[str, Any]) -> bool:
        return float(row["dev_f1"]) >= LEARNT

    def save(self) -> None:
        self.tagger.save_pretrained(self.out, over=self.base)

    def evaluate_saved(self) -> tuple[Report, Report | None]:
        saved = Tagger.from_pretrained(self.out, device=self.accelerator.device)
        parts = {name: corpus for name, corpus in self.corpora.parts.items() if name != "train"}
        self._calibration = None
        if self.options.calibrate == "dev":
            self._calibration = calibrate(saved, parts)
            if self.accelerator.is_main_process:
                write_temperature(self.out, saved.temperature)
        self._tagged = {name: tag_corpus(saved, corpus, scores=True) for name, corpus in parts.items()}
        self._saved = saved
        reports = {name: tagged.report(saved.words) for name, tagged in self._tagged.items()}
        return reports["dev"], reports.get("test")

    def write_results(self, result: Finished[Report]) -> None:
        test = result.test.to_dict() if result.test is not None else None
        calibration = self._calibration
        calibrated = None if calibration is None else calibration.to_dict(self._tagged)
        notes = calibration_note(calibrated)
        card = tagger_card(result, self.tagger, self.options, notes)
        write_results(result, card, self.options, test=test, calibration=calibrated)
        write_report(
            result,
            self._started,
            self.options,
            given=self.given,
            sizes={name: corpus.statistics for name, corpus in self.corpora.parts.items()},
            content=self._fingerprint["content"],
            rate_factors=[self.scheduler.lr_lambdas[0](step) for step in range(self.scheduler.last_epoch)],
            tagger=self._saved,
            tagged=self._tagged,
            uncalibrated={} if calibration is None else calibration.uncalibrated,
            notes=notes,
        )
