"""Low-rank adaptation (LoRA): a linear layer's weight W is frozen, and s·B·A is learnt beside it.

Hu et al. (2022), "LoRA: low-rank adaptation of large language models". A is (r, in), B is (out, r), and s is
alpha / r. The layers are those of the package `peft`; nothing of it is imported for an encoder without them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pybert_crf.reading import listed

NAME = "default"
"""The adapter's name in peft's layers, which can hold several."""


class Factors(NamedTuple):
    """What is learnt of one layer: A (r, in), B (out, r), and the scale s = alpha / r."""

    A: Tensor
    B: Tensor
    scale: float

    def delta(self, transposed: bool = False) -> Tensor:
        """s·B·A (out, in), or (in, out) for a layer that stores its weight transposed."""
        product = self.B @ self.A * self.scale
        return product.T if transposed else product


class Plan(NamedTuple):
    """How layers are adapted.

    Attributes:
        rank, alpha: r, and s·r.
        dropout: probability of dropping an input of A, in training.
        targets: last parts of the names of the layers; empty for all linear layers.
    """

    rank: int
    alpha: float
    dropout: float = 0.0
    targets: Sequence[str] = ()


def adapt(encoder: nn.Module, plan: Plan) -> list[str]:
    """Freeze `encoder` and put low-rank layers around its linear layers; the names of those that are adapted.

    A is drawn from torch's default generator and B is 0, so that nothing changes before the first step.
    Every other weight of the encoder is frozen.

    Raises:
        ImportError: peft is not installed.
        ValueError: the plan wants a layer that there is not, or there are none.
    """
    peft = library()
    wanted = _chosen(_called_layers(encoder), plan.targets)
    if not wanted:
        raise ValueError("LoRA has nothing to adapt: the encoder has no linear layers")
    config = peft.LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=[f"encoder.{name}" for name in wanted],
        bias="none",
    )
    # Inside a module without a configuration, from which peft would take rules of its own for some types.
    holder = nn.ModuleDict({"encoder": encoder})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that store their weights transposed, which it handles
        peft.inject_adapter_in_model(config, holder)
    adapted = [name for name, _ in adapted_layers(encoder)]
    if sorted(adapted) != sorted(wanted):
        raise ValueError(f"peft adapts {listed(adapted)} instead of {listed(wanted)}")
    return adapted


def library() -> Any:
    """The package peft."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import peft
    except ImportError as error:
        raise ImportError("LoRA needs the package peft: pip install 'pybert-crf[lora]'") from error
    return peft


def _chosen(layers: Sequence[str], targets: Sequence[str]) -> list[str]:
    """The layers whose name is, or ends with, one of `targets`; all if there are none."""
    if not targets:
        return list(layers)
    ends = {end for name in layers for end in (name, name.rpartition(".")[2])}
    unknown = [target for target in targets if not any(f".{name}".endswith(f".{target}") for name in layers)]
    if unknown:
        known = sorted(end for end in ends if "." not in end)
        raise ValueError(
            f"lora_target: no linear layer of the encoder is called {listed(unknown)}; "
            f"they are called {', '.join(known)}"
        )
    return [name for name in layers if any(f".{name}".endswith(f".{target}") for target in targets)]


def _called_layers(encoder: Any) -> list[str]:
    """The linear layers that a forward pass calls.

    A layer whose weight is read without a call cannot be adapted by a layer around it. Of our own, only
    DeBERTa's ``qkv`` is, by `weight_of`.
    """
    named = dict(encoder.named_modules())
    layers = [n for n, layer in named.items() if isinstance(layer, nn.Linear) or is_transposed(layer)]
    called = {name for name in layers if name.endswith(".qkv")}
    hooks = [named[name].register_forward_hook(lambda *_, name=name: called.add(name)) for name in layers]
    config = encoder.config
    ids = [i for i in range(min(config.vocab_size, 8)) if i != config.pad_id][:5]
    try:
        with torch.no_grad():
            encoder(torch.tensor([ids], device=next(encoder.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name in layers if name in called]


def is_transposed(layer: nn.Module) -> bool:
    """Whether a layer is linear and stores its weight as (in, out), as GPT-2's do."""
    return type(layer).__name__ == "Conv1D"


def adapted_layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The low-rank layers in a module, with their names."""
    for name, layer in module.named_modules():
        if _is_adapted(layer):
            yield name, layer


def _is_adapted(layer: nn.Module) -> bool:
    return hasattr(layer, "base_layer") and hasattr(layer, "lora_A")


def factors(layer: Any) -> Factors:
    """What is learnt of a low-rank layer."""
    return Factors(layer.lora_A[NAME].weight, layer.lora_B[NAME].weight, float(layer.scaling[NAME]))


def weight_of(layer: nn.Module) -> Tensor:
    """The weight that a linear layer multiplies with, (out, in), for those who do not call the layer."""
    if _is_adapted(layer):
        return layer.get_parameter("base_layer.weight") + factors(layer).delta()
    return layer.get_parameter("weight")


def plain_state(module: nn.Module) -> dict[str, Tensor]:
    """The module's ``state_dict``, with each low-rank layer as the linear layer that computes the same."""
    state: dict[str, Tensor] = module.state_dict()
    for name, layer in adapted_layers(module):
        own = {key: state.pop(key) for key in list(state) if key.startswith(f"{name}.")}
        inside = f"{name}.base_layer."
        state |= {f"{name}.{key.removeprefix(inside)}": own[key] for key in own if key.startswith(inside)}
        delta = factors(layer).delta(is_transposed(layer.base_layer)).detach()
        state[f"{name}.weight"] = state[f"{name}.weight"] + delta
    return state
