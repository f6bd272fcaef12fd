"""AdamW with two learning rates, and their schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


def build_optimizer(
    model: nn.Module,
    rate: float,
    head_rate: float,
    weight_decay: float,
    factors: Mapping[str, float] | None = None,
    *,
    kind: str = "adamw",
) -> Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) over every trainable parameter of `model`.

    Parameters outside ``model.encoder`` have `head_rate`: linear layer and CRF need a larger rate than a
    pretrained encoder, at whose rate the transitions barely move. Biases, norms and the CRF's scores, which
    have no reason to be small, do not decay. `factors` multiply the rates of parameters by their names in
    ``model.encoder``. With the `kind` ``adamw-8bit`` both moments of larger tensors have 8 bits a value
    (Dettmers et al., 2022, "8-bit optimizers via block-wise quantization").

    Raises:
        ImportError: bitsandbytes, which that needs, is not installed.
    """
    factors = factors or {}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        inside = name.startswith("encoder.")
        own_rate = rate * factors.get(name.removeprefix("encoder."), 1.0) if inside else head_rate
        decay = weight_decay if parameter.ndim > 1 and not name.startswith("crf.") else 0.0
        groups.setdefault((own_rate, decay), []).append(parameter)
    described = [
        {"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()
    ]
    return _eight_bit(described) if kind == "adamw-8bit" else AdamW(described, fused=True)


def _eight_bit(groups: list[dict[str, Any]]) -> Optimizer:
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise ImportError(
            "optimizer = adamw-8bit needs the package bitsandbytes: pip install 'pybert-crf[eight-bit]'"
        ) from error
    optimizer: Optimizer = AdamW8bit(groups)
    return optimizer


def build_scheduler(optimizer: Optimizer, steps: int, warmup: float) -> LambdaLR:
    """Linear rise over the first `warmup` part of `steps`, then linear fall to 0."""
    rise = max(1, round(steps * warmup))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return max(0.0, (steps - step) / max(1, steps - rise))

    return LambdaLR(optimizer, factor)


def trained_parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters of an optimiser, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
