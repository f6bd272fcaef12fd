"""``pybert-crf info``: versions, and which CRF backends work here."""

from __future__ import annotations

import importlib
import platform


def command() -> None:
    """Show versions, devices, and which CRF backends are usable and why the others are not."""
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
