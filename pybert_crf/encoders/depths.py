"""How deep in an encoder each parameter lies: embeddings, then one layer after another."""

from __future__ import annotations

import re

from torch import nn

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|block|blocks)\.(\d+)\.")


def depths(encoder: nn.Module) -> dict[str, int]:
    """The depth of each parameter by its name: 0 for embeddings, n for the n-th layer, counted from 1.

    Parameters after the layers, such as a last norm, are as deep as the last layer. Layers that share their
    weights (ALBERT) are one.
    """
    names = [name for name, _ in encoder.named_parameters()]
    found = {name: match for name in names if (match := _LAYER.search(name))}
    if not found:
        return dict.fromkeys(names, 0)
    layers = {name: 1 + int(match[1]) for name, match in found.items()}
    top, first = max(layers.values()), names.index(next(iter(layers)))
    return {
        name: layers.get(name, 0 if place < first or "embed" in name else top)
        for place, name in enumerate(names)
    }
