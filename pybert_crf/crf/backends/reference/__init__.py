"""The linear chain in plain PyTorch, as :class:`~pybert_crf.crf.backends.base.Backend`: any device, any
floating dtype, any order of derivative.

This is the oracle that every other backend is tested against, so it is written to be read. Notation, for one
row with positions t = 1..n (Lafferty, McCallum & Pereira, 2001; Rabiner, 1989)::

    score(y)   = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_n]
    log Z      = log sum_y exp score(y)
    alpha_t(j) = log sum over the paths y_1..y_t = j of exp(their score so far)

Each alpha_t is kept relative to its own maximum, and the maxima are summed apart: numbers stay small however
long the row is. The maxima are constants to autograd, which is exact: log Z does not depend on what is
subtracted and added again. All is computed in float64 where the device has it: in float32 autograd's products
of thousands of steps drift (by 5e-6 at T = 2,000). Memory is B * T * K * K for autograd; this is not the fast
backend.

Beyond what a backend must do, all functions are differentiable but those of single paths; and every function
takes ``pairwise`` (B, T - 1, K, K) or None: scores of the batch's own, added to the transitions on entering
position t + 1, read only between two unmasked positions, at the latter.
"""

from pybert_crf.crf.backends.reference.forward import (
    gradient,
    log_alphas,
    log_likelihood,
    log_marginals,
    log_partition,
    sample,
    value_and_gradient,
)
from pybert_crf.crf.backends.reference.paths import k_best, viterbi

__all__ = [
    "gradient",
    "k_best",
    "log_alphas",
    "log_likelihood",
    "log_marginals",
    "log_partition",
    "sample",
    "value_and_gradient",
    "viterbi",
]
