"""The encoder and tokenizer that a run starts from: new ones, or those of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.options import RunOptions
from pybert_crf.text.tokenizer import UnitTokenizer


def new_tokenizer(sequences: Iterable[Sequence[str]], unit: str, options: RunOptions) -> UnitTokenizer:
    """A tokenizer with a vocabulary built from the units of the training text."""
    return UnitTokenizer.build(
        sequences,
        unit,
        size=options.vocab_size,
        min_count=options.min_count,
        lowercase=options.lowercase,
    )


def new_encoder(tokenizer: UnitTokenizer, options: RunOptions) -> Encoder:
    """An encoder with random weights, of the size that `options.model` names."""
    return Encoder.from_size(options.model, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id)


def check_vocabulary(tokenizer: UnitTokenizer, config: EncoderConfig, options: RunOptions) -> None:
    """Check that a checkpoint's encoder has an embedding for each piece of its tokenizer.

    Raises:
        ValueError: it has not.
    """
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"{options.model}: its tokenizer has {tokenizer.vocab_size} pieces, "
            f"its encoder only {config.vocab_size}"
        )
