"""``pybert-crf info``: versions, and which CRF backends work here; or what a model is."""

from __future__ import annotations

import importlib
import platform
from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[
        str | None, typer.Argument(help="A saved tagger or an encoder: directory or hub name.")
    ] = None,
) -> None:
    """Show versions, devices, and which CRF backends are usable and why the others are not.

    With MODEL show what it is: type of encoder, attention, sizes, and a tagger's labels.
    """
    if model is None:
        _show_installation()
    else:
        for name in _members(model):
            _show_model(name)


def _members(model: str) -> list[str]:
    """The directories of an ensemble's members, which it also tells; any other model itself."""
    from pybert_crf.taggers.ensemble import read_members
    from pybert_crf.taggers.tagger import ENSEMBLE

    directory = Path(model).expanduser()
    if not (directory / ENSEMBLE).is_file():
        return [model]
    names = read_members(directory)
    print(f"{'ensemble':<12}of {len(names)} taggers: {', '.join(names)}")
    return [str(directory / name) for name in names]


def _show_model(model: str) -> None:
    from rich.console import Console

    from pybert_crf.encoders import load_encoder, naming, read_config, resolve
    from pybert_crf.model import SECTION, read_tagger_config
    from pybert_crf.text.context import neighbourhood

    directory = resolve(model)
    with naming(directory):
        values = read_config(directory)
        own = read_tagger_config(directory)[SECTION] if SECTION in values else None
        encoder, _ = load_encoder(directory, values)
    rows = [("type", encoder.description)]
    sizes = ("num_layers", "layers"), ("hidden_size", "wide"), ("vocab_size", "pieces in the vocabulary")
    rows.append(("sizes", ", ".join(f"{getattr(encoder.config, name):,} {what}" for name, what in sizes)))
    rows.append(("parameters", f"{sum(each.numel() for each in encoder.parameters()):,}"))
    rows.append(("window", f"{encoder.config.max_length:,} pieces read at once"))
    if own is None:
        rows.append(("tagger", "none, an encoder alone"))
    else:
        told = own["scheme"] or "plain tags"
        rows.append(("tagger", f"{told}, one tag for each {own.get('unit', 'unit')}"))
        if own.get("context", 0):
            rows.append(("context", f"{neighbourhood(own['context'])} on either side"))
        rows.append(("labels", ", ".join(own["labels"])))
    console = Console(soft_wrap=True)
    for name, told in rows:
        console.print(f"{name:<12}{told}", markup=False, highlight=False)


def _show_installation() -> None:
    import numpy
    import torch
    from rich.console import Console
    from rich.table import Table

    import pybert_crf

    console = Console()
    console.print(
        f"pybert-crf {pybert_crf.__version__}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {numpy.__version__}",
        highlight=False,
    )
    devices = [
        "cpu",
        *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())),
    ]
    console.print(f"devices: {', '.join(devices)}; {torch.get_num_threads()} threads", highlight=False)
    if pybert_crf.backends()["native"].usable:
        native = importlib.import_module("pybert_crf.crf.backends.native")
        on_cpu, on_gpu = native.builds()
        console.print(
            f"extension: {on_cpu}, {native.instruction_set()} in use", highlight=False, soft_wrap=True
        )
        console.print(f"extension on GPUs: {on_gpu}", highlight=False, soft_wrap=True)
    table = Table("CRF backend", "usable", "why", box=None, pad_edge=False)
    for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for name, status in pybert_crf.backends(kind).items():
            where = name if kind == "cpu" else f"{name}, {kind}"
            table.add_row(where, "yes" if status.usable else "no", status.reason)
    console.print(table)
