"""The operations of a chain, on any backend, with their derivatives.

Each takes a :class:`Chain`, the name of a backend and, for the reference backend alone, ``pairwise`` scores;
:mod:`pybert_crf.crf.backends.base` has the shapes. The reference backend is plain PyTorch, which autograd
differentiates by itself. The functions of the others are called directly if nothing traces, and as
:mod:`pybert_crf.crf.library`'s ops if something does: an op's dispatch, and autograd in Python around it,
take as long as the kernel (70 microseconds at 16 rows of 256 positions and 7 tags).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from pybert_crf.crf.backends import reference
from pybert_crf.crf.backends.base import Gradients, Pair, Triple
from pybert_crf.crf.library import differentiate, is_traced, refuse_second_derivatives
from pybert_crf.crf.long_calls import in_slices
from pybert_crf.crf.problem import Chain, Problem
from pybert_crf.crf.reduction import loss_factors, reduce
from pybert_crf.crf.registry import load


def log_partition(chain: Chain, backend: str, pairwise: Tensor | None = None) -> Tensor:
    """log Z (B,), differentiable; twice with the reference backend only."""
    if backend == "reference":
        return reference.log_partition(chain, pairwise)[0]
    if is_traced(chain):
        return cast(Pair, torch.ops.pybert_crf.log_partition(*chain, backend))[0]
    log_z: Tensor = _Value.apply(None, *chain, backend)  # type: ignore[no-untyped-call]
    return log_z


def log_likelihood(tags: Tensor, chain: Chain, backend: str, pairwise: Tensor | None = None) -> Tensor:
    """The log-likelihoods (B,) of the paths ``tags`` (B, T), differentiable; twice with the reference only.

    Raises:
        ValueError: on the CPU, an unmasked tag is out of range; names the first.
    """
    if backend == "reference":
        return reference.log_likelihood(tags, chain, pairwise)[0]
    if is_traced(chain):
        return cast(Triple, torch.ops.pybert_crf.log_likelihood(tags, *chain, backend))[0]
    likelihood: Tensor = _Value.apply(tags, *chain, backend)  # type: ignore[no-untyped-call]
    return likelihood


def reduced_log_likelihood(
    tags: Tensor, problem: Problem, reduction: str, weights: Tensor | None = None
) -> Tensor:
    """:func:`log_likelihood`, reduced to one number by :func:`pybert_crf.crf.reduction.reduce`.

    If it is to be differentiated the gradient is computed at once, which is faster than later: backward only
    multiplies it.
    """
    chain, backend, _ = problem
    at_once = (
        reduction != "none"
        and backend != "reference"
        and torch.is_grad_enabled()
        and _differentiated(chain) is not None
        and not (weights is not None and weights.requires_grad)
        and not is_traced(chain)
    )
    if not at_once:
        return reduce(log_likelihood(tags, *problem), chain.mask, reduction, weights)
    value: Tensor = _Reduced.apply(reduction, weights, tags, *chain, backend)  # type: ignore[no-untyped-call]
    return value


def _differentiated(chain: Chain) -> Tensor | None:
    """The first of the scores that autograd differentiates by, if any."""
    emissions, _, start, transitions, end = chain
    if emissions.requires_grad:
        return emissions
    if transitions.requires_grad:
        return transitions
    return start if start.requires_grad else end if end.requires_grad else None


def marginals(chain: Chain, backend: str, pairwise: Tensor | None = None) -> Tensor:
    """The gradient of log Z with respect to the emissions (B, T, K); differentiable with the reference."""
    if backend == "reference":
        ones = chain.emissions.new_ones(chain.emissions.shape[0])
        return reference.value_and_gradient(ones, None, chain, pairwise)[1]
    with torch.no_grad():
        ones = chain.emissions.new_ones(chain.emissions.shape[0])
        return weighted_gradient(ones, chain, backend)[0]


def weighted_gradient(factors: Tensor, chain: Chain, backend: str) -> Gradients:
    """The gradient of the sum of ``factors`` (B,) times log Z: by emissions, start, transitions and end.

    To be called outside autograd.
    """
    if backend == "reference":
        return reference.value_and_gradient(factors, None, chain)[1:]
    if is_traced(chain):
        found = torch.ops.pybert_crf.value_and_gradient(factors, None, *chain, backend)[1:]
        return cast(Gradients, tuple(found))
    return load(backend).value_and_gradient(factors, None, chain)[1:]


def log_alphas(chain: Chain, backend: str, pairwise: Tensor | None = None) -> Tensor:
    """The alphas (B, T, K), relative to each position's maximum; differentiable with the reference."""
    if backend == "reference":
        return reference.log_alphas(chain, pairwise)
    with torch.no_grad():
        if is_traced(chain):
            return cast(Tensor, torch.ops.pybert_crf.log_alphas(*chain, backend))
        return load(backend).log_alphas(chain)


def viterbi(chain: Chain, backend: str, pairwise: Tensor | None = None) -> Pair:
    """The best tags (B, T), -1 where masked, and their scores (B,). To be called outside autograd."""
    if backend == "reference":
        return reference.viterbi(chain, pairwise)
    if is_traced(chain):
        return cast(Pair, torch.ops.pybert_crf.viterbi(*chain, backend))
    return load(backend).viterbi(chain)


def k_best(k: int, chain: Chain, backend: str, pairwise: Tensor | None = None) -> Pair:
    """The k best tags (k, B, T), -1 where masked and beyond the last path, and their scores (k, B).

    To be called outside autograd.
    """
    if backend == "reference":
        return reference.k_best(k, chain, pairwise)
    if is_traced(chain):
        return cast(Pair, torch.ops.pybert_crf.k_best(k, *chain, backend))
    functions = load(backend)
    if not chain.emissions.is_cpu:
        return functions.k_best(k, chain)
    B, T, K = chain.emissions.shape

    def best(begin: int, end: int) -> Pair:
        rows = chain._replace(emissions=chain.emissions[begin:end], mask=chain.mask[begin:end])
        return functions.k_best(k, rows)

    parts = in_slices(best, B, torch.get_num_threads(), float(T) * K * K * k)
    tags, scores = zip(*parts, strict=True)
    return (tags[0], scores[0]) if len(parts) == 1 else (torch.cat(tags, dim=1), torch.cat(scores, dim=1))


def sample(uniforms: Tensor, chain: Chain, backend: str, pairwise: Tensor | None = None) -> Tensor:
    """A path (n, B, T) for each of the uniforms (n, B, T), -1 where masked. To be called outside autograd."""
    if backend == "reference":
        return reference.sample(uniforms, chain, pairwise)
    if is_traced(chain):
        return cast(Tensor, torch.ops.pybert_crf.sample(uniforms, *chain, backend))
    return load(backend).sample(uniforms, chain)


# The functions are in the old form, with the context in `forward`: the new one binds its arguments by name at
# every call, which takes three times as long.


class _Value(torch.autograd.Function):
    """The log-likelihood of tags, or log Z if they are None."""

    @staticmethod
    def forward(ctx: Any, tags: Tensor | None, *arguments: Any) -> Tensor:
        *parts, backend = arguments
        chain = Chain(*parts)
        if tags is None:
            log_z, messages = load(backend).log_partition(chain)
            value = log_z
        else:
            value, log_z, messages = load(backend).log_likelihood(tags, chain)
        ctx.save_for_backward(tags, *chain, messages, log_z)
        ctx.backend = backend
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return differentiate(ctx, grad)


class _Reduced(torch.autograd.Function):
    """The reduced log-likelihood of tags, and its gradient in the same call."""

    @staticmethod
    def forward(ctx: Any, reduction: str, weights: Tensor | None, tags: Tensor, *arguments: Any) -> Tensor:
        *parts, backend = arguments
        chain = Chain(*parts)
        # Of the negative, which is the loss: then backward has nothing left to multiply.
        factors = loss_factors(chain.emissions, chain.mask, reduction, weights)
        value, *gradients = load(backend).value_and_gradient(factors, tags, chain)
        ctx.save_for_backward(_differentiated(chain), *gradients)
        return reduce(value, chain.mask, reduction, weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scores, *gradients = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated once more
            gradients = _Scaled.apply(scores, -grad, *gradients)  # type: ignore[no-untyped-call]
        elif not grad.is_cpu or grad.item() != -1:  # on a GPU, item() would wait for the device
            gradients = [-grad * gradient for gradient in gradients]
        d_emissions, d_start, d_transitions, d_end = gradients
        return None, None, None, d_emissions, None, d_start, d_transitions, d_end, None


class _Scaled(torch.autograd.Function):
    """The gradients times a number, as a function of scores: to be differentiated, which is refused."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, factor: Tensor, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(factor * gradient for gradient in gradients)

    backward = staticmethod(refuse_second_derivatives)
