"""The operations of a chain as ``torch.library`` ops, and their derivative.

``pybert_crf::log_partition``, ``::log_likelihood``, ``::gradient``, ``::value_and_gradient``, ``::viterbi``,
``::k_best``, ``::log_alphas`` and ``::sample`` take the five tensors of a chain, on the CPU or a CUDA device,
and the name of a backend. To torch.compile, torch.export and whatever traces, each is one opaque op.
:mod:`pybert_crf.crf.autograd` calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from pybert_crf.crf.backends.base import Gradients, Pair, Triple
from pybert_crf.crf.problem import Chain, check_chain, check_tensor
from pybert_crf.crf.registry import choose, load

AUTO = "auto"
"""In place of a backend's name, in a program that is exported: the fastest one where it runs."""


def is_traced(chain: Chain) -> bool:
    """Whether something watches that must see ops: a compiler, a dispatch mode, a subclass of Tensor."""
    return (
        torch.compiler.is_compiling()
        or is_in_torch_dispatch_mode()
        or type(chain.emissions) not in (Tensor, torch.nn.Parameter)
    )


def is_transformed() -> bool:
    """Whether torch.func's transforms, forward-mode derivatives or torch.jit.trace must see plain PyTorch.

    They do not know a kernel; a trace would keep the memory that it writes to and not the call.
    """
    if torch.compiler.is_compiling():
        return False
    return (
        torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
        or is_recorded()
    )


def is_recorded() -> bool:
    """Whether torch.jit.trace, or the ONNX exporter that uses it, records."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def materialised(tensor: Tensor) -> Tensor:
    """The tensor with its numbers in memory: not lazily negated, and no zeros without storage."""
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return tensor.resolve_neg()


def differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of tags, emissions, mask, start, transitions, end and backend."""
    tags, *parts, messages, log_z = ctx.saved_tensors
    chain = Chain(*parts)
    if torch.is_grad_enabled() or is_traced(chain):  # the op refuses to be differentiated once more
        gradients = torch.ops.pybert_crf.gradient(grad, tags, *chain, messages, log_z, ctx.backend)
    else:
        gradients = _call("gradient", (grad, tags), chain, (messages, log_z), ctx.backend)
    d_emissions, d_start, d_transitions, d_end = gradients
    return None, d_emissions, None, d_start, d_transitions, d_end, None


def refuse_second_derivatives(ctx: Any, *_grads: Tensor) -> None:
    """The derivative of a gradient."""
    raise NotImplementedError(
        "second derivatives of the CRF's log partition need CRF(..., backend='reference'), "
        "or PYBERT_CRF_BACKEND=reference"
    )


# What the ops return to a tracer, which has shapes and no numbers.


def _log_partition_fake(emissions: Tensor, *rest: Any) -> Pair:
    shape, dtype = _messages(emissions, rest[-1])
    return emissions.new_empty(emissions.shape[0]), emissions.new_empty(shape, dtype=dtype)


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


# The ops themselves. Only here is a chain five arguments: a schema knows no tuple of tensors with names.


class _Op(NamedTuple):
    before: str  # the arguments before the chain's
    after: str  # those after them
    tensors: int  # how many the op returns
    fake: Callable[..., Any]

    @property
    def schema(self) -> str:
        chain = ", ".join(f"Tensor {name}" for name in Chain._fields)
        arguments = ", ".join(filter(None, (self.before, chain, self.after, "str backend")))
        return f"({arguments}) -> ({', '.join(['Tensor'] * self.tensors)})"


_OPS = {
    "log_partition": _Op("", "", 2, _log_partition_fake),
    "log_likelihood": _Op("Tensor tags", "", 3, _log_likelihood_fake),
    "gradient": _Op("Tensor grad, Tensor? tags", "Tensor messages, Tensor log_z", 4, _gradient_fake),
    "value_and_gradient": _Op("Tensor grad, Tensor? tags", "", 5, _value_and_gradient_fake),
    "viterbi": _Op("", "", 2, _viterbi_fake),
    "k_best": _Op("int k", "", 2, _k_best_fake),
    "log_alphas": _Op("", "", 1, _log_alphas_fake),
    "sample": _Op("Tensor uniforms", "", 1, _sample_fake),
}


def _kernel(name: str, op: _Op) -> Callable[..., Any]:
    first = len(_names(op.before))  # of the chain's tensors
    last = first + len(Chain._fields)

    def kernel(*arguments: Any) -> Any:
        *inputs, backend = arguments
        return _call(name, inputs[:first], Chain(*inputs[first:last]), inputs[last:], backend)

    return kernel


def _call(name: str, before: Any, chain: Chain, after: Any, backend: str) -> Any:
    """Call a backend's function, after a check of all that it reads as raw memory."""
    check_chain(chain)
    chain = Chain(*map(materialised, chain))
    op = _OPS[name]
    before = [_checked(*pair, chain, backend) for pair in zip(_names(op.before), before, strict=True)]
    after = [_checked(*pair, chain, backend) for pair in zip(_names(op.after), after, strict=True)]
    if backend == AUTO:
        backend = choose(backend, chain.emissions.device.type)
    return getattr(load(backend), name)(*before, chain, *after)


def _checked(name: str, value: Any, chain: Chain, backend: str) -> Any:
    """An argument beside a chain; ValueError if it does not fit."""
    if not isinstance(value, Tensor):
        return value
    emissions = chain.emissions
    B, T, _ = emissions.shape
    shape, dtype = {
        "grad": ((B,), emissions.dtype),
        "tags": ((B, T), torch.int64),
        "messages": _messages(emissions, backend),
        "log_z": ((B,), emissions.dtype),
        "uniforms": ((*value.shape[:1], B, T), torch.float64),
    }[name]
    check_tensor(name, value, shape, dtype, emissions)
    return materialised(value)


def _messages(emissions: Tensor, backend: str) -> tuple[tuple[int, ...], torch.dtype]:
    """The shape and the dtype of a backend's messages."""
    shape = emissions.shape[:1] if backend == "numba" else emissions.shape
    return tuple(shape), torch.float64 if backend == "reference" else emissions.dtype


def _names(arguments: str) -> list[str]:
    """The names in a part of a schema."""
    return [argument.split()[1] for argument in arguments.split(", ") if argument]


_LIBRARY = torch.library.Library("pybert_crf", "DEF")  # type: ignore[no-untyped-call]
for _name, _op in _OPS.items():
    _LIBRARY.define(_name + _op.schema)  # type: ignore[no-untyped-call]
    for _device in ("CPU", "CUDA"):
        torch.library.impl(_LIBRARY, _name, _device)(_kernel(_name, _op))
    torch.library.register_fake(f"pybert_crf::{_name}", _op.fake, lib=_LIBRARY)


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
    ctx.set_materialize_grads(False)  # those of messages and log_z are None, not zeros


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
