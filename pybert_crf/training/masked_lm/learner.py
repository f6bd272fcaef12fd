"""The model, tokenizer and encoded text of a pretraining run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from pybert_crf.annotation.examples import WindowLayout
from pybert_crf.encoders import AnyMaskedLM, MaskedLM, open_masked_lm, resolve
from pybert_crf.options import PretrainOptions
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training.loop.processes import gathered, in_first, place
from pybert_crf.training.masked_lm.masking import Masking
from pybert_crf.training.masked_lm.source import Source
from pybert_crf.training.masked_lm.texts import (
    EncodedText,
    TextCounts,
    check_text,
    encode_text,
    ordinary_ids,
    text_notes,
)
from pybert_crf.training.start import check_vocabulary, new_encoder, new_tokenizer


class Learner(NamedTuple):
    """Model, tokenizer and encoded text, with the masking and the layout of a window.

    Attributes:
        train: this process's share, every world-th passage; `whole` counts those of all processes.
        dev: the whole part, in every process.
    """

    model: AnyMaskedLM
    tokenizer: UnitTokenizer
    layout: WindowLayout
    masking: Masking
    train: EncodedText
    dev: EncodedText
    whole: TextCounts

    def notes(self) -> Iterator[str]:
        """What the user should know before waiting for the result."""
        yield from text_notes("train", self.whole, self.layout)
        yield from text_notes("dev", self.dev.counts, self.layout)


def build_learner(source: Source) -> tuple[Learner, tuple[str, ...]]:
    """The untrained learner, and what the user should know about it.

    Raises:
        FileNotFoundError: the checkpoint or a file of it is missing.
        ValueError: checkpoint, tokenizer and options do not fit together.
    """
    options = source.options
    model: AnyMaskedLM
    model, tokenizer = _new(source) if options.from_scratch else _open(source)
    longest = model.encoder.config.max_length
    if options.max_length is not None and options.max_length > longest:
        raise ValueError(f"max_length is {options.max_length}, but the encoder has {longest} positions")
    layout = WindowLayout(tokenizer.before, tokenizer.after, tokenizer.pad_id, options.max_length or longest)
    masking = _masking(options, tokenizer)
    rank, world = place()
    own = islice(source.train(), rank, None, world)
    train = encode_text(own, tokenizer, source.mask_unit, layout)
    dev = encode_text(source.dev(), tokenizer, source.mask_unit, layout)
    shares = gathered(train.counts)
    whole = TextCounts.of(shares)
    check_text("train", whole)
    check_text("dev", dev.counts)
    if not all(share.windows for share in shares):
        raise ValueError(f"train has {whole.lines} lines, too few for the {world} processes")
    learner = Learner(model, tokenizer, layout, masking, train, dev, whole)
    notes = (*source.notes, *learner.notes(), *_model_notes(model, options))
    return learner, notes


def _new(source: Source) -> tuple[MaskedLM, UnitTokenizer]:
    options = source.options
    units = (passage.units for passage in source.train())
    tokenizer = in_first(lambda: new_tokenizer(units, source.unit, options))
    return MaskedLM(new_encoder(tokenizer, options)), tokenizer


def _open(source: Source) -> tuple[AnyMaskedLM, UnitTokenizer]:
    options = source.options
    directory = resolve(options.model, revision=options.revision)
    tokenizer = UnitTokenizer.from_directory(directory, source.unit)
    model = open_masked_lm(directory, new_head=True)
    check_vocabulary(tokenizer, model.encoder.config, options)
    return model, tokenizer


def _masking(options: PretrainOptions, tokenizer: UnitTokenizer) -> Masking:
    if tokenizer.mask_id is None:
        raise ValueError(f"the vocabulary of {options.model} has no mask piece ([MASK])")
    return Masking(
        options.mask_rate,
        options.mask_share,
        options.random_share,
        tokenizer.mask_id,
        ordinary_ids(tokenizer),
        options.masking == "dynamic",
        options.seed,
    )


def _model_notes(model: AnyMaskedLM, options: PretrainOptions) -> Iterator[str]:
    if model.head_is_new and not options.from_scratch:
        yield f"{options.model} holds no MLM head; a new one is trained"
    if model.left_out:
        yield f"tensors of {options.model} that are not carried over: {', '.join(model.left_out)}"
