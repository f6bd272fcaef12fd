"""Attention both ways in decoders of transformers, which were trained to see only what precedes a piece.

Nothing is replaced in a model's layers but what hides the pieces that follow, and how that is done differs:
masks that are built from the configuration, flags of the attention modules, and triangular tables. Whether it
worked is tried, by `sees_the_last`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

States = Callable[[Tensor], Tensor]
"""Hidden states (B, L, D) of piece ids (B, L)."""


@torch.no_grad()
def sees_the_last(states: States, ids: Sequence[int]) -> bool:
    """Whether another last piece changes the first state, by more than rounding; ``ids`` differ."""
    first, second = (states(torch.tensor([row]))[0, 0].float() for row in (ids[:-1], [*ids[:-2], ids[-1]]))
    return bool((first - second).abs().max() > 1e-6 * first.abs().max())


def attend_both_ways(model: nn.Module) -> str:
    """Let every piece of a decoder see the whole text, if its class allows that; why not, or nothing."""
    theirs: Any = model
    if hasattr(model, "build_alibi_tensor"):
        _mirror_alibi(theirs)
    elif getattr(theirs.config, "alibi", False) or "alibi" in str(getattr(theirs.config, "attn_config", "")):
        return "its position scores (ALiBi) grow towards the end of a text"
    theirs.config.is_causal = False  # of this the masks are built
    modules: Any = model.modules()
    for module in modules:
        if getattr(module, "is_causal", None) is True:
            module.is_causal = False
    _fill_triangles(model)
    return ""


def _mirror_alibi(model: Any) -> None:
    """Let the scores of ALiBi fall with the distance on both sides (Press et al., 2022).

    Those of transformers rise with the key's position alone, which is the same as long as a piece sees only
    what precedes it: the scores of a query may all be shifted.
    """
    rising = model.build_alibi_tensor

    def falling(attention_mask: Tensor, num_heads: int, dtype: torch.dtype) -> Tensor:
        scores = rising(attention_mask, num_heads, torch.float32)  # (B · H, 1, L)
        falls: Tensor = -(scores - scores.mT).abs().to(dtype)
        return falls

    model.build_alibi_tensor = falling


def _fill_triangles(model: nn.Module) -> None:
    """Mirror the triangular tables by which older classes hide what follows."""
    for buffer in model.buffers():
        square = buffer.ndim == 4 and buffer.shape[-1] == buffer.shape[-2] > 1
        if square and not buffer.triu(1).any():
            buffer.copy_(torch.maximum(buffer, buffer.mT))
