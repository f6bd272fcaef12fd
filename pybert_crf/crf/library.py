"""The chain's operations as ``torch.library`` ops, and their derivative.

``pybert_crf::log_partition``, ``::log_likelihood``, ``::gradient``, ``::value_and_gradient``, ``::viterbi``,
``::k_best``, ``::log_alphas`` and ``::sample`` take CPU or CUDA tensors and the name of a backend. To
torch.compile, torch.export and whatever traces, each is one opaque op.
:mod:`pybert_crf.crf.autograd` is the way to call them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from pybert_crf.crf.backends.base import Gradients, Pair, Triple
from pybert_crf.crf.problem import Chain
from pybert_crf.crf.registry import load


def is_traced(chain: Chain) -> bool:
    """Whether something looks on that must see ops: a compiler, a dispatch mode, a subclass of tensors."""
    return (
        torch.compiler.is_compiling()
        or is_in_torch_dispatch_mode()
        or type(chain.emissions) not in (Tensor, torch.nn.Parameter)
    )


def differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of tags, emissions, mask, start, transitions, end and backend."""
    tags, *parts, messages, log_z = ctx.saved_tensors
    chain = Chain(*parts)
    if torch.is_grad_enabled() or is_traced(chain):  # the op refuses to be differentiated once more
        gradients = torch.ops.pybert_crf.gradient(grad, tags, *chain, messages, log_z, ctx.backend)
    else:
        gradients = load(ctx.backend).gradient(grad, tags, chain, messages, log_z)
    d_emissions, d_start, d_transitions, d_end = gradients
    return None, d_emissions, None, d_start, d_transitions, d_end, None


def refuse_second_derivatives(ctx: Any, *_grads: Tensor) -> None:
    """The derivative of a gradient."""
    raise NotImplementedError(
        "second derivatives of the CRF's log partition need CRF(..., backend='reference'), "
        "or PYBERT_CRF_BACKEND=reference"
    )


# What the ops take and return, how their results look, and how they are differentiated.

_CHAIN = "Tensor emissions, Tensor mask, Tensor start, Tensor transitions, Tensor end"


def _log_partition_fake(emissions: Tensor, *rest: Any) -> Pair:
    messages = torch.float64 if rest[-1] == "reference" else emissions.dtype
    return emissions.new_empty(emissions.shape[0]), emissions.new_empty(emissions.shape, dtype=messages)


def _log_likelihood_fake(_tags: Tensor, emissions: Tensor, *rest: Any) -> Triple:
    log_z, messages = _log_partition_fake(emissions, *rest)
    return torch.empty_like(log_z), log_z, messages


def _gradient_fake(_grad: Tensor, _tags: Tensor | None, emissions: Tensor, *_: Any) -> Gradients:
    K = emissions.shape[2]
    sizes = (emissions.shape, (K,), (K, K), (K,))
    return cast(Gradients, tuple(emissions.new_empty(size) for size in sizes))


def _value_and_gradient_fake(grad: Tensor, tags: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    return torch.empty_like(grad), *_gradient_fake(grad, tags, *rest)


def _viterbi_fake(emissions: Tensor, mask: Tensor, *_: Any) -> Pair:
    return mask.new_empty(mask.shape, dtype=torch.int64), emissions.new_empty(emissions.shape[0])


def _k_best_fake(k: int, emissions: Tensor, mask: Tensor, *_: Any) -> Pair:
    B, T = mask.shape
    return mask.new_empty((k, B, T), dtype=torch.int64), emissions.new_empty((k, B))


def _log_alphas_fake(emissions: Tensor, *_: Any) -> Tensor:
    return emissions.new_empty(emissions.shape)


def _sample_fake(uniforms: Tensor, *_: Any) -> Tensor:
    return uniforms.new_empty(uniforms.shape, dtype=torch.int64)


_OPS: dict[str, tuple[str, Callable[..., Any]]] = {
    "log_partition": (f"({_CHAIN}, str backend) -> (Tensor, Tensor)", _log_partition_fake),
    "log_likelihood": (
        f"(Tensor tags, {_CHAIN}, str backend) -> (Tensor, Tensor, Tensor)",
        _log_likelihood_fake,
    ),
    "gradient": (
        f"(Tensor grad, Tensor? tags, {_CHAIN}, Tensor messages, Tensor log_z, str backend)"
        " -> (Tensor, Tensor, Tensor, Tensor)",
        _gradient_fake,
    ),
    "value_and_gradient": (
        f"(Tensor grad, Tensor? tags, {_CHAIN}, str backend) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
        _value_and_gradient_fake,
    ),
    "viterbi": (f"({_CHAIN}, str backend) -> (Tensor, Tensor)", _viterbi_fake),
    "k_best": (f"(int k, {_CHAIN}, str backend) -> (Tensor, Tensor)", _k_best_fake),
    "log_alphas": (f"({_CHAIN}, str backend) -> Tensor", _log_alphas_fake),
    "sample": (f"(Tensor uniforms, {_CHAIN}, str backend) -> Tensor", _sample_fake),
}


def _kernel(name: str, schema: str) -> Callable[..., Any]:
    """The op's kernel: the function of its name, of the backend that the last argument names."""
    first = schema[: schema.index(_CHAIN)].count(",")  # of the chain's tensors

    def kernel(*arguments: Any) -> Any:
        *inputs, backend = arguments
        before, parts, after = inputs[:first], inputs[first : first + 5], inputs[first + 5 :]
        return getattr(load(backend), name)(*before, Chain(*parts), *after)

    return kernel


_LIBRARY = torch.library.Library("pybert_crf", "DEF")  # type: ignore[no-untyped-call]
for _name, (_schema, _fake) in _OPS.items():
    _LIBRARY.define(_name + _schema)  # type: ignore[no-untyped-call]
    for _device in ("CPU", "CUDA"):
        torch.library.impl(_LIBRARY, _name, _device)(_kernel(_name, _schema))
    torch.library.register_fake(f"pybert_crf::{_name}", _fake, lib=_LIBRARY)


def _save_log_partition(ctx: Any, inputs: tuple[Any, ...], output: Pair) -> None:
    *chain, ctx.backend = inputs
    log_z, messages = output
    _save(ctx, None, chain, messages, log_z)


def _save_log_likelihood(ctx: Any, inputs: tuple[Any, ...], output: Triple) -> None:
    tags, *chain, ctx.backend = inputs
    _, log_z, messages = output
    _save(ctx, tags, chain, messages, log_z)


def _save(ctx: Any, tags: Tensor | None, chain: list[Tensor], messages: Tensor, log_z: Tensor) -> None:
    ctx.save_for_backward(tags, *chain, messages, log_z)
    ctx.mark_non_differentiable(*((messages,) if tags is None else (messages, log_z)))
    ctx.set_materialize_grads(False)  # nor zeros in their places


_autograd = partial(torch.library.register_autograd, lib=_LIBRARY)
_autograd(
    "pybert_crf::log_partition",
    lambda ctx, grad, *_: differentiate(ctx, grad)[1:],
    setup_context=_save_log_partition,
)
_autograd(
    "pybert_crf::log_likelihood",
    lambda ctx, grad, *_: differentiate(ctx, grad),
    setup_context=_save_log_likelihood,
)
_autograd("pybert_crf::gradient", refuse_second_derivatives)
