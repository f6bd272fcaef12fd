"""What is left beside the weights when a pretraining run is over: ``metrics.json`` and a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import pybert_crf
from pybert_crf.files import write_json, write_text
from pybert_crf.pretraining.events import Finished
from pybert_crf.pretraining.source import Source
from pybert_crf.pretraining.start import Learner


def write_results(out: Path, result: Finished, learner: Learner, source: Source) -> None:
    """Write ``metrics.json`` and ``README.md``, the model card, into `out`."""
    metrics: dict[str, Any] = {
        "epoch": result.epoch,
        "dev": result.dev.to_dict(),
        "history": result.history,
        "training_seconds": result.seconds,
        "pieces": {"train": len(learner.train.ids), "dev": len(learner.dev.ids)},
        "unit": source.unit,
        "mask_unit": source.mask_unit,
        "options": source.options.to_dict(),
        "versions": {"pybert_crf": pybert_crf.__version__, "torch": torch.__version__},
    }
    write_json(out / "metrics.json", metrics)
    write_text(out / "README.md", _model_card(result, learner, source))


def _model_card(result: Finished, learner: Learner, source: Source) -> str:
    """A model card in the hub's format: front matter, use, data, figures."""
    options, config = source.options, learner.model.encoder.config
    start = f"random weights, size {options.model}" if options.from_scratch else options.model
    files = ", ".join(f"`{Path(path).name}`" for path in options.text)
    dev = ", ".join(f"`{Path(path).name}`" for path in options.dev) or f"{options.held_out:.1%} of its lines"
    name = Path(result.out).resolve().name
    return f"""---
library_name: transformers
pipeline_tag: fill-mask
tags: [{config.model_type}, fill-mask]
---

# {name}

A masked language model: {config.num_layers}-layer, {config.hidden_size}-wide encoder, pretrained by
[pybert-crf](https://pypi.org/project/pybert-crf/) {pybert_crf.__version__}. To train a tagger from it:

```sh
pybert-crf train train.txt --dev dev.txt --model {name} --out my-tagger
```

- Starts from: {start}
- Pretrained on {files}: {len(learner.train.ids):,} pieces, read by {source.unit}; epoch {result.epoch} of
  {len(result.history)}
- Masked by {source.mask_unit}, {options.masking}, at a rate of {options.mask_rate:g}
- Held out: {dev}; of {result.dev.pieces:,} masked pieces {result.dev.accuracy:.1%} are predicted right,
  perplexity {result.dev.perplexity:.2f}
"""
