"""``pybert-crf evaluate``: entity precision, recall and F1 of a saved tagger on a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

EXAMPLE = "Example: `pybert-crf evaluate my-tagger test.txt`"
NEEDS_ARGUMENTS = True


def command(
    model: Annotated[str, Argument(help="A saved tagger: directory or hub name.", show_default=False)],
    file: Annotated[Path, Argument(help="Column file: token first, tag last.", show_default=False)],
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps …")] = "cpu",
    batch_tokens: Annotated[int, Option(help="Encoder positions at once.")] = 4096,
    json: Annotated[Path | None, Option(help="Also write the figures to this file.")] = None,
) -> None:
    """Evaluate a saved tagger: per type, micro and macro, conlleval-style and strict."""
    from pybert_crf.cli.show import show_report
    from pybert_crf.evaluation import evaluate_file
    from pybert_crf.files import write_json
    from pybert_crf.tagger import Tagger

    report = evaluate_file(Tagger.from_pretrained(model, device=device), file, batch_tokens)
    show_report(report)
    if json is not None:
        write_json(json, report.to_dict())
