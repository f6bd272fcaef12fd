"""The task of training a tagger: encoder, linear layer and CRF, on the sentences of tagged corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pybert_crf.batches import Batch, collate
from pybert_crf.encoders import AnyEncoder, open_encoder, resolve
from pybert_crf.evaluation import TaggedCorpus, tag_corpus
from pybert_crf.model import BertCRF, write_temperature
from pybert_crf.options import TrainOptions
from pybert_crf.taggers.ensemble import refuse_ensemble
from pybert_crf.taggers.tagger import Tagger
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
    read_corpora,
)
from pybert_crf.training.events import Finished, Observer, TaggingStarted
from pybert_crf.training.fitting import fitted, plan_note
from pybert_crf.training.levers import prepare
from pybert_crf.training.levers.adversarial import build_attack
from pybert_crf.training.levers.averaging import Averaging
from pybert_crf.training.levers.distillation import Teacher, open_teacher
from pybert_crf.training.levers.freezing import Freezing, rate_factors
from pybert_crf.training.levers.lora import lora_base
from pybert_crf.training.loop.accelerator import build_accelerator
from pybert_crf.training.loop.checkpoints import check_out
from pybert_crf.training.loop.directory import reserve
from pybert_crf.training.loop.optimizer import build_optimizer, trained_parameters
from pybert_crf.training.loop.processes import gathered, in_first
from pybert_crf.training.loop.training_loop import TrainingLoop
from pybert_crf.training.mean_loss import mean_loss
from pybert_crf.training.report import write_report
from pybert_crf.training.results import tagger_card, write_results
from pybert_crf.training.shares import examine, read_in_first, share_out, teach
from pybert_crf.training.start import (
    check_attention,
    check_vocabulary,
    encoder_dtype,
    labels_of,
    low_precision_note,
    new_encoder,
    new_tokenizer,
    read_head,
    wanted_context,
)
from pybert_crf.training.warnings import falling_dev, never_predicted, small_dev, still_transitions

if TYPE_CHECKING:
    from accelerate import Accelerator


def train_one(options: TrainOptions, observer: Observer | None = None) -> Finished[Report]:
    """One run; arguments, result and errors as `pybert_crf.train`."""
    with reserve(Path(options.out)):
        check_out(Path(options.out), options)
        accelerator = build_accelerator(options)
        return _task(options, observer, accelerator).run()


def _task(options: TrainOptions, observer: Observer | None, accelerator: Accelerator) -> TaggingTask:
    """The task, which alone holds the data once it is made."""
    teacher = open_teacher(options)
    corpora = read_in_first(lambda: read_corpora(options, teacher))
    tagger = build_tagger(corpora, options, teacher)
    corpora = corpora.in_scheme(tagger.scheme)
    return TaggingTask(options, observer, corpora, accelerator, tagger, teacher)


def build_tagger(corpora: Corpora, options: TrainOptions, teacher: Tagger | None = None) -> Tagger:
    """The tagger to train: encoder and tokenizer as `options.model` says, and a new linear layer and CRF.

    Of several processes the first has the corpora, and tells the others what they need of them.

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
        tokenizer = in_first(lambda: new_tokenizer(tokens, corpora.unit, options))
        encoder: AnyEncoder = new_encoder(tokenizer, options)
    else:
        refuse_ensemble(options.model, "model")
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
    labels, scheme = in_first(lambda: labels_of(corpora.train, options, head, teacher))
    model = BertCRF(encoder, labels, None if scheme == PLAIN else scheme, options.dropout)
    if head is not None:
        head.copy_to(model)
    alike, words, with_documents = in_first(lambda: _habits(corpora, teacher))
    context = wanted_context(options) if with_documents else 0
    return Tagger(model, tokenizer, corpora.unit, cut_alike=alike, words=words, context=context)


def _habits(corpora: Corpora, teacher: Tagger | None) -> tuple[float, frozenset[str], bool]:
    """`cut_alike` and `words` of the tagger to train, and whether train tells documents apart.

    The first two are the teacher's, if there is no training part.
    """
    train = corpora.train
    if teacher is not None and not train.sentences:
        return teacher.cut_alike, teacher.words, False
    return cut_alike(train.sentences, corpora.unit), words_of(train), train.has_documents


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
        self.tagger, given = tagger, options
        self._tagged: dict[str, TaggedCorpus] = {}  # what the saved tagger found
        self._calibration: Calibration | None = None  # of the saved tagger
        if not options.dev:
            in_first(lambda: check_drawn(corpora, tagger.context))
        tagged = encode_corpus(corpora.train, tagger)
        examples = tagged + encode_untagged(corpora, tagger)
        lengths = [example.positions for example in examples]
        scratch = options.from_scratch
        self._head = None if scratch else read_head(resolve(options.model, revision=options.revision))
        goes_on = self._head is not None
        options = in_first(lambda: fitted(given, lengths, tagger.model.encoder, trained=goes_on))
        self.facts = in_first(lambda: examine(corpora, examples, tagger, given))
        self.share = share_out(corpora, examples, taught=teacher is not None)
        self.examples = self.share.examples
        self.held_out = {name: part for name, part in corpora.parts.items() if name != "train"}
        self.teacher: Teacher | None = None
        if teacher is not None:
            self.teacher = teach(teacher.to(accelerator.device), self.share, options.teacher_weight)
        self.lever_notes = prepare(tagger, tagged, options, self.teacher)
        self._transitions = tagger.model.crf.transitions.detach().clone()
        self.base = lora_base(options)
        self.freezing = Freezing(tagger.model.encoder, options)
        if options.frozen_epochs and accelerator.num_processes > 1:
            raise ValueError("frozen_epochs must be 0 with several processes, which agree on what is trained")
        factors = rate_factors(tagger.model.encoder, options.layer_decay)
        optimizer = build_optimizer(
            tagger.model, *options.rates(), options.weight_decay, factors, kind=options.optimizer
        )
        out, own = Path(options.out), [example.positions for example in self.examples]
        super().__init__(options, out, observer, accelerator, tagger.model, optimizer, own, given)
        table = tagger.model.encoder.piece_embeddings
        self.attack = build_attack(accelerator, self.model, table, options)
        if options.average:
            self.averaging = Averaging(trained_parameters(optimizer), options.average)

    def started(self, epoch: int) -> TaggingStarted:
        self._started = TaggingStarted(
            sentences=self.facts.counts,
            taken=self.facts.taken,
            plan=plan_note(self.given, self.options, self.order.lengths, self.steps),
            scheme=self.tagger.scheme,
            unit=self.tagger.unit,
            labels=self.tagger.model.labels,
            parameters=sum(p.numel() for p in self.tagger.model.parameters() if p.requires_grad),
            device=str(self.accelerator.device),
            epoch=epoch,
            epochs=self.options.epochs,
            notes=self.facts.notes
            + self.tagger.model.encoder.notes
            + low_precision_note(self.tagger.model.encoder)
            + self._head_note()
            + self.lever_notes,
        )
        return self._started

    def collate(self, rows: list[int], epoch: int) -> tuple[Batch, int]:
        batch = collate([self.examples[i] for i in rows], self.tagger.layout)
        if self.teacher is not None:
            batch = self.teacher.teach(batch, rows)
        return batch, int(batch.mask.sum())

    def _head_note(self) -> tuple[str, ...]:
        head = self._head
        return () if head is None else (head.note(self.options.model, self.tagger.model.labels),)

    def content(self) -> str:
        digest = self.facts.content
        return digest if self.teacher is None else f"{digest} {self.teacher.content()}"

    def name_example(self, row: int) -> str:
        return self.share.names[row]

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
        own = tag_corpus(self.tagger, self.share.dev, scores=False).taggings
        taggings = [tagging for part in gathered(own) for tagging in part]
        dev = self.held_out["dev"]
        return in_first(lambda: TaggedCorpus(dev, taggings).report(self.tagger.words))

    def figures(self, dev: Report) -> dict[str, Any]:
        """The F1, also by type; and the loss, which alone says what is learnt before any entity is found."""
        types = {name: score.f1 for name, score in dev.conlleval.types.items()}
        return {"dev_f1": dev.f1, "dev_f1_by_type": types} | (
            {} if dev.f1 else {"dev_loss": self._dev_loss()}
        )

    def _dev_loss(self) -> float:
        return in_first(lambda: mean_loss(self.tagger, self.held_out["dev"]))

    def quality(self, row: dict[str, Any]) -> tuple[float, ...]:
        return float(row["dev_f1"]), -float(row.get("dev_loss", 0.0))

    def has_learnt(self, row: dict[str, Any]) -> bool:
        return float(row["dev_f1"]) >= LEARNT

    def save(self) -> None:
        self.tagger.save_pretrained(self.out, over=self.base)

    def evaluate_saved(self) -> tuple[Report, Report | None]:
        saved = Tagger.from_pretrained(self.out, device=self.accelerator.device)
        self._calibration = None
        if self.options.calibrate == "dev":
            self._calibration = calibrate(saved, self.held_out)
            write_temperature(self.out, saved.temperature)
        parts = self.held_out.items()
        self._tagged = {name: tag_corpus(saved, corpus, scores=True) for name, corpus in parts}
        self._saved = saved
        reports = {name: tagged.report(saved.words) for name, tagged in self._tagged.items()}
        return reports["dev"], reports.get("test")

    def warnings(self) -> tuple[str, ...]:
        tagged = self._tagged["dev"]
        train = self.facts.sizes.get("train")
        return (
            *falling_dev(self.history, self.best_epoch()),
            *never_predicted(tagged.report(), {} if train is None else train.entities),
            *still_transitions(self._transitions, self._saved.model.crf.transitions.detach()),
            *small_dev(tagged),
        )

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
            sizes=self.facts.sizes,
            content=self._fingerprint["content"],
            rate_factors=[self.scheduler.lr_lambdas[0](step) for step in range(self.scheduler.last_epoch)],
            tagger=self._saved,
            tagged=self._tagged,
            uncalibrated={} if calibration is None else calibration.replaced,
            notes=notes,
        )
