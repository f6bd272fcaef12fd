"""What is left beside the weights when a run is over: ``metrics.json`` and a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import pybert_crf
from pybert_crf.files import write_json, write_text
from pybert_crf.options import TrainOptions
from pybert_crf.tagger import Tagger
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.training.events import Finished


def write_results(out: Path, result: Finished, tagger: Tagger, options: TrainOptions) -> None:
    """Write ``metrics.json`` and ``README.md``, the model card, into `out`."""
    metrics: dict[str, Any] = {
        "best_epoch": result.best_epoch,
        "dev": result.dev.to_dict(),
        "test": result.test.to_dict() if result.test else None,
        "history": result.history,
        "training_seconds": result.seconds,
        "options": options.to_dict(),
        "versions": {"pybert_crf": pybert_crf.__version__, "torch": torch.__version__},
    }
    write_json(out / "metrics.json", metrics)
    write_text(out / "README.md", model_card(result, tagger, options))


def model_card(result: Finished, tagger: Tagger, options: TrainOptions) -> str:
    """A model card in the hub's format: front matter, use, data, figures."""
    config = tagger.model.encoder.config
    test = _table(result.test) if result.test else "No test file was given."
    return f"""---
library_name: pybert-crf
pipeline_tag: token-classification
tags: [bert, crf, token-classification]
---

# {out_name(result.out)}

A sequence labeller: {config.num_layers}-layer, {config.hidden_size}-wide encoder, linear layer and
linear-chain CRF, trained by [pybert-crf](https://pypi.org/project/pybert-crf/) {pybert_crf.__version__}.

```python
from pybert_crf import Tagger

tagger = Tagger.from_pretrained("{out_name(result.out)}")
for entity in tagger("…"):
    print(entity.start, entity.end, entity.label, entity.text, entity.score)
```

- Starts from: {"random weights, size " + options.model if options.from_scratch else options.model}
- Labels ({tagger.scheme}, one for each {tagger.unit}): {", ".join(tagger.model.labels)}
- Trained on `{Path(options.train).name}`, best of {len(result.history)} epochs: {result.best_epoch}

## Entity metrics on dev (`{Path(options.dev).name}`)

{_table(result.dev)}

## Entity metrics on test

{test}
"""


def out_name(out: str) -> str:
    """The tagger's own name: that of its directory."""
    return Path(out).resolve().name


def _table(report: Report) -> str:
    lines = ["| type | precision | recall | F1 | entities |", "| --- | --- | --- | --- | --- |"]
    for name, row in report.conlleval.rows():
        lines.append(f"| {name} | {row.precision:.4f} | {row.recall:.4f} | {row.f1:.4f} | {row.support} |")
    return "\n".join(lines)
