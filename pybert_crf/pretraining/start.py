"""What a pretraining run starts from: encoder, head and tokenizer, from a checkpoint or new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pybert_crf.batches import Window
from pybert_crf.encoders import Encoder, MaskedLM, resolve
from pybert_crf.options import PretrainOptions
from pybert_crf.pretraining.masking import Masking
from pybert_crf.pretraining.source import Source
from pybert_crf.pretraining.texts import Text, check_text, encode, ordinary_ids, text_notes
from pybert_crf.text.tokenizer import UnitTokenizer


class Learner(NamedTuple):
    """Model, tokenizer and encoded text, with how the text is masked and what surrounds a window."""

    model: MaskedLM
    tokenizer: UnitTokenizer
    window: Window
    masking: Masking
    train: Text
    dev: Text

    def notes(self) -> Iterator[str]:
        """What the user should know before waiting for the result."""
        yield from text_notes("train", self.train, self.window)
        yield from text_notes("dev", self.dev, self.window)


def build_learner(source: Source) -> tuple[Learner, tuple[str, ...]]:
    """The untrained learner, and what the user should know about it.

    Raises:
        FileNotFoundError: the checkpoint or a file of it is missing.
        ValueError: checkpoint, tokenizer and options do not fit together.
    """
    options = source.options
    model, tokenizer = _new(source) if options.from_scratch else _open(source)
    longest = model.encoder.config.max_length
    if options.max_length is not None and options.max_length > longest:
        raise ValueError(f"max_length is {options.max_length}, but the encoder has {longest} positions")
    window = Window(tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, options.max_length or longest)
    masking = _masking(options, tokenizer)
    train = encode(source.train(), tokenizer, source.mask_unit, window)
    dev = encode(source.dev(), tokenizer, source.mask_unit, window)
    check_text("train", train)
    check_text("dev", dev)
    learner = Learner(model, tokenizer, window, masking, train, dev)
    notes = (*source.notes, *learner.notes(), *_model_notes(model, options))
    return learner, notes


def _new(source: Source) -> tuple[MaskedLM, UnitTokenizer]:
    options = source.options
    tokenizer = UnitTokenizer.build(
        (passage.units for passage in source.train()),
        source.unit,
        size=options.vocab_size,
        min_count=options.min_count,
        lowercase=options.lowercase,
    )
    encoder = Encoder.from_size(options.model, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id)
    return MaskedLM(encoder), tokenizer


def _open(source: Source) -> tuple[MaskedLM, UnitTokenizer]:
    options = source.options
    directory = resolve(options.model, revision=options.revision)
    tokenizer = UnitTokenizer.from_directory(directory, source.unit)
    model = MaskedLM.from_pretrained(directory, new_head=True)
    if tokenizer.vocab_size > model.encoder.config.vocab_size:
        raise ValueError(
            f"{options.model}: its tokenizer knows {tokenizer.vocab_size} pieces, "
            f"its encoder only {model.encoder.config.vocab_size}"
        )
    return model, tokenizer


def _masking(options: PretrainOptions, tokenizer: UnitTokenizer) -> Masking:
    if tokenizer.mask_id is None:
        raise ValueError(
            f"the vocabulary of {options.model} has no piece that stands for a masked one ([MASK])"
        )
    return Masking(
        options.mask_rate,
        options.mask_share,
        options.random_share,
        tokenizer.mask_id,
        ordinary_ids(tokenizer),
        options.masking == "dynamic",
        options.seed,
    )


def _model_notes(model: MaskedLM, options: PretrainOptions) -> Iterator[str]:
    if model.head_is_new and not options.from_scratch:
        yield f"{options.model} holds no MLM head; a new one is trained"
    if model.left_out:
        yield f"what else {options.model} holds is not carried over: {', '.join(model.left_out)}"
