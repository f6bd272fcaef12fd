"""``pybert-crf pretrain``: from plain text to an encoder that ``pybert-crf train`` starts from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

EXAMPLE = "Example: `pybert-crf pretrain text.txt --model bert-base-chinese --out my-encoder`"
NEEDS_ARGUMENTS = True


def command(
    text: Annotated[
        list[str] | None,
        Argument(help="Text files, one passage a line, or column files.", show_default=False),
    ] = None,
    dev: Annotated[
        list[str] | None,
        Option(help="A text file to be judged on (may be repeated); else a part of TEXT is held out."),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            help="Pretrained encoder (directory or hub name) to go on from, or a size to train from scratch: "
            "tiny, small, base. [default: small]"
        ),
    ] = None,
    out: Annotated[str | None, Option(help="Directory for encoder and head.")] = None,
    options: Annotated[
        Path | None, Option(help="TOML file with any of these options; flags win over it.")
    ] = None,
    held_out: Annotated[
        float | None, Option(help="Share of TEXT's lines held out where there is no --dev. [default: 0.05]")
    ] = None,
    columns: Annotated[
        bool | None, Option("--columns", help="The files are column files: their tokens are the text.")
    ] = None,
    masking: Annotated[
        str | None, Option(help="dynamic (new masks in every epoch) or static. [default: dynamic]")
    ] = None,
    mask_unit: Annotated[
        str | None,
        Option(
            help="What is masked together: piece, char, word (in Chinese what spaces part), or auto: "
            "char or word as the text is. [default: auto]"
        ),
    ] = None,
    mask_rate: Annotated[float | None, Option(help="Share of pieces to predict. [default: 0.15]")] = None,
    mask_share: Annotated[
        float | None, Option(help="Part of these that the encoder sees as [MASK]. [default: 0.8]")
    ] = None,
    random_share: Annotated[
        float | None,
        Option(help="Part of these that it sees as a random piece; the rest as they are. [default: 0.1]"),
    ] = None,
    max_length: Annotated[
        int | None,
        Option(help="Longest window, in encoder positions; longer lines are split. [default: the encoder's]"),
    ] = None,
    epochs: Annotated[int | None, Option(help="Passes over the text. [default: 10]")] = None,
    batch_tokens: Annotated[int | None, Option(help="Encoder positions in a batch. [default: 4096]")] = None,
    accumulate: Annotated[int | None, Option(help="Batches added up before a step. [default: 1]")] = None,
    learning_rate: Annotated[
        float | None, Option(help="Peak rate. [default: 1e-4, from scratch 5e-4]")
    ] = None,
    weight_decay: Annotated[float | None, Option(help="AdamW's. [default: 0.01]")] = None,
    warmup: Annotated[
        float | None, Option(help="Part of the steps in which the rate rises. [default: 0.1]")
    ] = None,
    clip: Annotated[float | None, Option(help="Largest gradient norm, 0 for none. [default: 1]")] = None,
    keep: Annotated[str | None, Option(help="The epoch that is saved: best or last. [default: best]")] = None,
    patience: Annotated[
        int | None,
        Option(help="Stop after so many epochs without a better dev loss, 0 for never. [default: 0]"),
    ] = None,
    precision: Annotated[str | None, Option(help="no (float32), bf16 or fp16. [default: no]")] = None,
    seed: Annotated[int | None, Option(help="Of weights, dropout, order and masks. [default: 0]")] = None,
    checkpoint_steps: Annotated[
        int | None,
        Option(help="Steps between checkpoints within an epoch, 0 for one after each. [default: 1000]"),
    ] = None,
    unit: Annotated[
        str | None, Option(help="How text is read: by char, by word or auto. [default: auto]")
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
    """Pretrain an encoder on untagged text: it learns to predict masked characters or words.

    From scratch or on from a checkpoint; `pybert-crf train --model` starts from what --out holds then.
    """
    flags: dict[str, Any] = dict(locals())
    file = flags.pop("options")
    flags |= {name: flags[name] or None for name in ("text", "dev")}
    from pybert_crf.cli.progress import PretrainingDisplay
    from pybert_crf.options import PretrainOptions, merge_options, read_options
    from pybert_crf.pretraining import pretrain as run

    chosen = merge_options(read_options(file, PretrainOptions) if file else {}, flags, PretrainOptions)
    try:
        with PretrainingDisplay() as display:
            run(chosen, display)
    except KeyboardInterrupt:
        typer.echo("\ninterrupted: the same command with --resume goes on from the last checkpoint", err=True)
        raise typer.Exit(130) from None
    if int(os.environ.get("RANK", "0")) == 0:
        typer.echo(f"saved in {chosen.out}; next: pybert-crf train … --model {chosen.out}")
