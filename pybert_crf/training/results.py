"""The files beside the weights of a finished run: ``metrics.json``, and a model card in the hub's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

import pybert_crf
from pybert_crf.encoders import AdaptedConfig, EncoderConfig
from pybert_crf.files import write_json, write_text
from pybert_crf.options import PretrainOptions, RunOptions, TrainOptions
from pybert_crf.taggers.model_card import PACKAGE, description_of, facts_of, model_card
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.text.tagging.schemes import PLAIN
from pybert_crf.training.events import Compared, Finished


class _HasFigures(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


def write_results(result: Finished[Any], card: str, options: RunOptions, **more: Any) -> None:
    """Write ``metrics.json``, with `more` entries, and ``README.md``, the model card, into ``result.out``."""
    dev: _HasFigures = result.dev
    metrics: dict[str, Any] = {
        "epoch": result.epoch,
        "ended": result.ended,
        "dev": dev.to_dict(),
        **more,
        "history": result.history,
        "training_seconds": result.seconds,
        "warnings": list(result.warnings),
        "options": options.to_dict(),
        "versions": {"pybert_crf": pybert_crf.__version__, "torch": torch.__version__},
    }
    write_json(Path(result.out) / "metrics.json", metrics)
    write_text(Path(result.out) / "README.md", card)


def tagger_card(
    result: Finished[Report], tagger: Tagger, options: TrainOptions, notes: Sequence[str] = ()
) -> str:
    """The model card of a tagger: use, data, `notes` (a line each), figures."""
    facts = [
        f"Starts from: {_origin(options)}",
        *facts_of(tagger),
        f"Trained on {_learnt_from(options)}, best of {len(result.history)} epochs: {result.epoch}",
        *notes,
    ]
    kind = tagger.model.encoder.config.model_type
    card = model_card(_name(result.out), kind, description_of(tagger, "trained"), facts)
    return f"{card}\n{_figures(result, options)}"


def ensemble_card(result: Finished[Report], options: TrainOptions, compared: Compared[Report]) -> str:
    """The model card of an ensemble: use, data, members, figures."""
    description = (
        f"{len(compared.runs)} sequence labellers, trained by {PACKAGE},\n"
        "as one: the probabilities that they give to each tag are averaged."
    )
    facts = [f"Starts from: {_origin(options)}", f"Trained on {_learnt_from(options)}"]
    rows = [
        f"| `{name}` | {run.epoch} | {run.dev.f1:.4f} |"
        for name, run in zip(compared.names, compared.runs, strict=True)
    ]
    members = "\n".join(["| member | epoch | F1 on dev |", "| --- | --- | --- |", *rows])
    own = "" if options.dev else ", each member on its own, which the others have learnt from"
    card = model_card(_name(result.out), "ensemble", description, facts)
    return f"{card}\n{members}\n\n{_figures(result, options, own)}"


def _figures(result: Finished[Report], options: TrainOptions, own: str = "") -> str:
    """The tables of dev, of which `own` says more, and of test."""
    test = _table(result.test) if result.test else "No test file was given."
    dev = f"{_files(options.files('dev')) or _drawn(options)}{own}"
    return f"## Figures on dev ({dev})\n\n{_table(result.dev)}\n\n## Figures on test\n\n{test}\n"


def masked_lm_card(
    result: Finished[Any],
    config: EncoderConfig | AdaptedConfig,
    options: PretrainOptions,
    *,
    pieces: int,
    unit: str,
    mask_unit: str,
) -> str:
    """The model card of a pretrained encoder: front matter, use, text, figures."""
    files = _files(options.files("text"))
    dev = _files(options.files("dev")) or f"{options.held_out:.1%} of its lines"
    return f"""---
library_name: transformers
pipeline_tag: fill-mask
tags: [{config.model_type}, fill-mask]
---

# {_name(result.out)}

A masked language model: {config.num_layers}-layer, {config.hidden_size}-wide encoder, pretrained by
{PACKAGE}. To train a tagger from it:

```sh
pybert-crf train train.txt --dev dev.txt --model {_name(result.out)} --out my-tagger
```

- Starts from: {_origin(options)}
- Pretrained on {files}: {pieces:,} pieces, read by {unit}; epoch {result.epoch} of
  {len(result.history)}
- Masked by {mask_unit}, {options.masking}, at a rate of {options.mask_rate:g}
- Held out: {dev}; of {result.dev.pieces:,} masked pieces {result.dev.accuracy:.1%} are predicted correctly,
  perplexity {result.dev.perplexity:.2f}
"""


def _files(paths: Sequence[str]) -> str:
    return ", ".join(f"`{Path(path).name}`" for path in paths)


def _origin(options: RunOptions) -> str:
    return f"random weights, size {options.model}" if options.from_scratch else options.model


def _name(out: str) -> str:
    """The model's own name: that of its directory."""
    return Path(out).resolve().name


def _table(report: Report) -> str:
    first, last = ("tag", "units") if report.scheme == PLAIN else ("type", "entities")
    lines = [f"| {first} | precision | recall | F1 | {last} |", "| --- | --- | --- | --- | --- |"]
    for name, row in report.conlleval.rows():
        name = report.average_name if name == "micro" else name
        lines.append(f"| {name} | {row.precision:.4f} | {row.recall:.4f} | {row.f1:.4f} | {row.support} |")
    return "\n".join(lines)


def _learnt_from(options: TrainOptions) -> str:
    tagged, text = _files(options.files("train")), _files(options.files("text"))
    if options.teacher is None:
        return tagged
    taught = f"what {options.teacher} finds in {text or 'them'}"
    return f"{tagged} and {taught}" if tagged else taught


def _drawn(options: TrainOptions) -> str:
    return (
        f"one of {options.folds} folds of train"
        if options.folds
        else f"{options.dev_share or 0:.0%} of train"
    )
