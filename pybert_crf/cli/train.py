"""``pybert-crf train``: from a BIO file to a saved tagger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

EXAMPLE = "Example: `pybert-crf train train.txt --dev dev.txt --model bert-base-chinese --out my-tagger`"
NEEDS_ARGUMENTS = True


def command(
    train: Annotated[
        str | None, Argument(help="Column file: token first, tag last.", show_default=False)
    ] = None,
    dev: Annotated[str | None, Option(help="Column file on which the best epoch is chosen.")] = None,
    test: Annotated[str | None, Option(help="Column file that is only reported on.")] = None,
    model: Annotated[
        str | None,
        Option(
            help="Pretrained encoder (directory or hub name), or a size to train from scratch: "
            "tiny, small, base. [default: small]"
        ),
    ] = None,
    out: Annotated[str | None, Option(help="Directory for the tagger.")] = None,
    options: Annotated[
        Path | None, Option(help="TOML file with any of these options; flags win over it.")
    ] = None,
    epochs: Annotated[int | None, Option(help="Passes over the training sentences. [default: 10]")] = None,
    batch_tokens: Annotated[int | None, Option(help="Encoder positions in a batch. [default: 1024]")] = None,
    accumulate: Annotated[int | None, Option(help="Batches added up before a step. [default: 1]")] = None,
    learning_rate: Annotated[
        float | None, Option(help="Peak rate of the encoder. [default: 5e-5, from scratch 5e-4]")
    ] = None,
    head_learning_rate: Annotated[
        float | None, Option(help="Peak rate of linear layer and CRF. [default: 1e-3, from scratch 5e-3]")
    ] = None,
    weight_decay: Annotated[float | None, Option(help="AdamW's. [default: 0.01]")] = None,
    warmup: Annotated[
        float | None, Option(help="Part of the steps in which rates rise. [default: 0.1]")
    ] = None,
    clip: Annotated[float | None, Option(help="Largest gradient norm, 0 for none. [default: 1]")] = None,
    dropout: Annotated[float | None, Option(help="Before the linear layer. [default: 0.1]")] = None,
    patience: Annotated[
        int | None,
        Option(help="Stop after so many epochs without a better dev F1, 0 for never. [default: 5]"),
    ] = None,
    precision: Annotated[str | None, Option(help="no (float32), bf16 or fp16. [default: no]")] = None,
    seed: Annotated[int | None, Option(help="Of weights, dropout and order. [default: 0]")] = None,
    checkpoint_steps: Annotated[
        int | None,
        Option(help="Steps between checkpoints within an epoch, 0 for one after each. [default: 0]"),
    ] = None,
    unit: Annotated[
        str | None, Option(help="What a tag stands for: char, word or auto. [default: auto]")
    ] = None,
    min_count: Annotated[
        int | None, Option(help="From scratch: times a character must occur to be known. [default: 2]")
    ] = None,
    vocab_size: Annotated[int | None, Option(help="From scratch: most word pieces. [default: 8000]")] = None,
    lowercase: Annotated[bool | None, Option("--lowercase", help="From scratch: ignore case.")] = None,
    revision: Annotated[str | None, Option(help="Branch, tag or commit of a hub model.")] = None,
    resume: Annotated[bool | None, Option("--resume", help="Continue an interrupted run in --out.")] = None,
    overwrite: Annotated[
        bool | None, Option("--overwrite", help="Write over an earlier run in --out.")
    ] = None,
) -> None:
    """Train a tagger on a column file; labels, tag scheme and unit are found in the data.

    Keeps the epoch with the best entity F1 on --dev, writes it to --out with metrics.json.
    """
    flags: dict[str, Any] = dict(locals())
    file = flags.pop("options")
    from pybert_crf.cli.progress import TrainingDisplay
    from pybert_crf.options import TrainOptions, merge_options, read_options
    from pybert_crf.training import train as run

    chosen = merge_options(read_options(file, TrainOptions) if file else {}, flags, TrainOptions)
    try:
        with TrainingDisplay() as display:
            run(chosen, display)
    except KeyboardInterrupt:
        typer.echo("\ninterrupted: the same command with --resume goes on from the last checkpoint", err=True)
        raise typer.Exit(130) from None
    if int(os.environ.get("RANK", "0")) == 0:
        typer.echo(f"saved in {chosen.out}; try: pybert-crf predict {chosen.out} -")
