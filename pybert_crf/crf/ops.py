"""The chain's operations as ``torch.library`` ops: one opaque op to autograd, torch.compile, AMP and DDP.

``pybert_crf::log_partition``, ``::log_partition_backward`` and ``::viterbi`` take CPU tensors and the name of
a backend. The functions of this file are the way to call them: they let the reference backend, which autograd
understands by itself, go round the ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from pybert_crf.crf import reference
from pybert_crf.crf.backends import load

_Pair = tuple[Tensor, Tensor]
_Gradients = tuple[Tensor, Tensor, Tensor, Tensor]

_LIBRARY = torch.library.Library("pybert_crf", "DEF")  # type: ignore[no-untyped-call]
_CHAIN = "Tensor emissions, Tensor mask, Tensor start, Tensor transitions, Tensor end"
for _schema in (
    f"log_partition({_CHAIN}, str backend) -> (Tensor, Tensor)",
    f"log_partition_backward(Tensor grad, {_CHAIN}, Tensor alphas, Tensor log_z, str backend)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    f"viterbi({_CHAIN}, str backend) -> (Tensor, Tensor)",
):
    _LIBRARY.define(_schema)  # type: ignore[no-untyped-call]


def log_partition(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor, backend: str
) -> _Pair:
    """log Z (B,), differentiable, and the alphas (B, T, K); see :func:`reference.log_partition`.

    Only the reference backend's result can be differentiated twice, and only its alphas once.
    """
    if backend == "reference":
        return reference.log_partition(emissions, mask, start, transitions, end)
    return cast(_Pair, torch.ops.pybert_crf.log_partition(emissions, mask, start, transitions, end, backend))


def log_partition_backward(
    grad: Tensor,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    alphas: Tensor,
    log_z: Tensor,
    backend: str,
) -> _Gradients:
    """The gradients of emissions, start, transitions, end; see :func:`reference.log_partition_backward`."""
    chain = (grad, emissions, mask, start, transitions, end, alphas, log_z)
    if backend == "reference":
        return reference.log_partition_backward(*chain)
    return cast(_Gradients, torch.ops.pybert_crf.log_partition_backward(*chain, backend))


@torch.no_grad()
def viterbi(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor, backend: str
) -> _Pair:
    """The best tags (B, T), -1 where masked, and their scores (B,); see :func:`reference.viterbi`."""
    if backend == "reference":
        return reference.viterbi(emissions, mask, start, transitions, end)
    return cast(_Pair, torch.ops.pybert_crf.viterbi(emissions, mask, start, transitions, end, backend))


def _log_partition(*args: Any) -> Any:
    *chain, backend = args
    return load(backend).log_partition(*chain)


def _log_partition_backward(*args: Any) -> Any:
    *chain, backend = args
    return load(backend).log_partition_backward(*chain)


def _viterbi(*args: Any) -> Any:
    *chain, backend = args
    return load(backend).viterbi(*chain)


def _log_partition_fake(emissions: Tensor, *_: Any) -> _Pair:
    return emissions.new_empty(emissions.shape[0]), emissions.new_empty(emissions.shape)


def _log_partition_backward_fake(grad: Tensor, emissions: Tensor, *_: Any) -> tuple[Tensor, ...]:
    K = emissions.shape[2]
    vector = emissions.new_empty(K)
    return emissions.new_empty(emissions.shape), vector, emissions.new_empty(K, K), torch.empty_like(vector)


def _viterbi_fake(emissions: Tensor, mask: Tensor, *_: Any) -> _Pair:
    return mask.new_empty(mask.shape, dtype=torch.int64), emissions.new_empty(emissions.shape[0])


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *chain, ctx.backend = inputs
    log_z, alphas = output
    ctx.save_for_backward(*chain, alphas, log_z)


def _differentiate(ctx: Any, grad: Tensor, _grad_alphas: Tensor | None) -> tuple[Tensor | None, ...]:
    emissions, mask, start, transitions, end, alphas, log_z = ctx.saved_tensors
    d_emissions, d_start, d_transitions, d_end = torch.ops.pybert_crf.log_partition_backward(
        grad, emissions, mask, start, transitions, end, alphas, log_z, ctx.backend
    )
    return d_emissions, None, d_start, d_transitions, d_end, None


def _refuse(ctx: Any, *_grads: Tensor) -> None:
    raise NotImplementedError(
        "second derivatives of the CRF's log partition need CRF(..., backend='reference'), "
        "or PYBERT_CRF_BACKEND=reference"
    )


_KERNELS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "log_partition": (_log_partition, _log_partition_fake),
    "log_partition_backward": (_log_partition_backward, _log_partition_backward_fake),
    "viterbi": (_viterbi, _viterbi_fake),
}
for _name, (_kernel, _fake) in _KERNELS.items():
    torch.library.impl(_LIBRARY, _name, "CPU")(_kernel)
    torch.library.register_fake(f"pybert_crf::{_name}", _fake, lib=_LIBRARY)
torch.library.register_autograd(
    "pybert_crf::log_partition", _differentiate, setup_context=_save, lib=_LIBRARY
)
torch.library.register_autograd("pybert_crf::log_partition_backward", _refuse, lib=_LIBRARY)
