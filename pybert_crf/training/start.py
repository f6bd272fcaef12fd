"""What a run starts from: an encoder and a tokenizer, pretrained or new, and a place to write to."""

from __future__ import annotations

from pathlib import Path

from pybert_crf.encoders import Encoder, resolve
from pybert_crf.model import BertCRF
from pybert_crf.options import RunOptions, TrainOptions
from pybert_crf.tagger import Tagger
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training.checkpoints import find_checkpoint
from pybert_crf.training.data import Data


def check_out(out: Path, options: RunOptions) -> None:
    """Refuse to write over an earlier run unasked.

    Raises:
        FileExistsError: `out` holds a tagger or a checkpoint, and neither `resume` nor `overwrite` is set.
        NotADirectoryError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file; --out must name a directory")
    finished, unfinished = (out / "metrics.json").exists(), find_checkpoint(out) is not None
    if options.resume and finished and not unfinished:
        raise FileExistsError(f"the run in {out} has finished: there is nothing to resume")
    if options.resume or options.overwrite:
        return
    if unfinished:
        raise FileExistsError(f"{out} holds an unfinished run: continue it with --resume, or --overwrite it")
    if (out / "config.json").exists():
        raise FileExistsError(f"{out} holds a model already: choose another --out, or --overwrite it")


def build_tagger(data: Data, options: TrainOptions) -> Tagger:
    """The untrained tagger: encoder and tokenizer as `options.model` says, linear layer and CRF new.

    Raises:
        FileNotFoundError: the pretrained encoder or a file of it is missing.
        ValueError: encoder and tokenizer do not fit together.
    """
    if options.from_scratch:
        tokenizer = UnitTokenizer.build(
            (sentence.tokens for sentence in data.train.sentences),
            data.unit,
            size=options.vocab_size,
            min_count=options.min_count,
            lowercase=options.lowercase,
        )
        encoder = Encoder.from_size(options.model, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id)
    else:
        directory = resolve(options.model, revision=options.revision)
        tokenizer = UnitTokenizer.from_directory(directory, data.unit)
        encoder = Encoder.from_pretrained(directory)
        if tokenizer.vocab_size > encoder.config.vocab_size:
            raise ValueError(
                f"{options.model}: its tokenizer knows {tokenizer.vocab_size} pieces, "
                f"its encoder only {encoder.config.vocab_size}"
            )
    model = BertCRF(encoder, data.train.labels, data.train.scheme, options.dropout)
    return Tagger(model, tokenizer, data.unit)
