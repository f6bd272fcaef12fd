"""All verbs as one application. A verb imports its work when it is called, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

import pybert_crf
from pybert_crf.cli.verbs import (
    convert,
    debug_data,
    demo,
    evaluate,
    export,
    info,
    predict,
    pretrain,
    serve,
    train,
    tune,
)

VERBS = {
    module.VERB.name: module.VERB
    for module in (demo, debug_data, convert, pretrain, train, tune, evaluate, predict, export, serve)
}

app = typer.Typer(
    name="pybert-crf",
    help="Train, evaluate and use BERT-CRF sequence labellers. Start with: pybert-crf demo",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in VERBS.values():
    app.command(verb.name, epilog=f"Example: `{verb.example}`", no_args_is_help=verb.needs_arguments)(
        verb.command()
    )
app.command("info", epilog="Example: `pybert-crf info my-tagger`")(info.command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pybert-crf {pybert_crf.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Train, evaluate and use BERT-CRF sequence labellers. Start with: pybert-crf demo"""
