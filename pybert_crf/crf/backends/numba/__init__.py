"""The chain on the CPU by Numba, as :class:`pybert_crf.crf.backends.base.Backend`."""

from __future__ import annotations

from torch import Tensor

from pybert_crf.crf import numba_backend
from pybert_crf.crf.backends.base import Gradients, Pair, Triple, ValueAndGradients
from pybert_crf.crf.problem import Chain


def log_partition(chain: Chain) -> Pair:
    return numba_backend.log_partition(*chain)


def log_likelihood(tags: Tensor, chain: Chain) -> Triple:
    return numba_backend.log_likelihood(tags, *chain)


def gradient(grad: Tensor, tags: Tensor | None, chain: Chain, messages: Tensor, log_z: Tensor) -> Gradients:
    return numba_backend.gradient(grad, tags, *chain, messages, log_z)


def value_and_gradient(grad: Tensor, tags: Tensor | None, chain: Chain) -> ValueAndGradients:
    return numba_backend.value_and_gradient(grad, tags, *chain)


def viterbi(chain: Chain) -> Pair:
    return numba_backend.viterbi(*chain)


def k_best(k: int, chain: Chain) -> Pair:
    return numba_backend.k_best(k, *chain)


def log_alphas(chain: Chain) -> Tensor:
    return numba_backend.log_alphas(*chain)


def sample(uniforms: Tensor, chain: Chain) -> Tensor:
    return numba_backend.sample(uniforms, *chain)
