"""The CRF layer: a drop-in for ``torchcrf.CRF`` for which every mask is legal.

The whole layer stands here: parameters, constraints and every public method. What the methods compute stands
in :mod:`pybert_crf.crf.autograd` and :mod:`pybert_crf.crf.posterior`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pybert_crf.crf import autograd
from pybert_crf.crf.backends.reference.packing import to_lists
from pybert_crf.crf.backends.reference.score import path_score
from pybert_crf.crf.constraints import Constraints, check_constraint
from pybert_crf.crf.library import is_recorded, is_transformed
from pybert_crf.crf.log_space import NEG_INF
from pybert_crf.crf.long_calls import count_paths
from pybert_crf.crf.posterior import entropy, objectives
from pybert_crf.crf.posterior.spans import span_probabilities
from pybert_crf.crf.posterior.symmetric import symmetric_divergence
from pybert_crf.crf.problem import (
    DTYPES,
    Chain,
    Problem,
    check_allowed,
    check_best,
    check_fraction,
    check_given,
    check_order,
    check_pairwise,
    check_parameters,
    check_spans,
    check_tags,
    check_vector,
)
from pybert_crf.crf.reduction import check_reduction, reduce
from pybert_crf.crf.registry import check_name, choose

_PARAMETERS = {"start": "start_transitions", "transitions": "transitions", "end": "end_transitions"}
_ORDER_OF_DRAWING = ("start_transitions", "end_transitions", "transitions")  # pytorch-crf's


class CRF(nn.Module):
    """A linear-chain conditional random field (Lafferty, McCallum & Pereira, 2001).

    The chain of a row is the sequence of its unmasked positions, in order: gaps, left padding and rows with
    nothing unmasked are legal, and values at masked positions (NaN emissions, tags of -100) are never read.
    A path scores ``start[y_1] + sum emissions[t, y_t] + sum transitions[y_{t-1}, y_t] + end[y_n]``.

    Shapes below are for ``batch_first=True``: B rows, T positions, K tags. Otherwise the first two axes of
    every tensor with a time axis are swapped. Masks may have any dtype; nonzero is on; None means all on.
    Emissions of half precision are computed in float32, and their gradients come back in their dtype. NaN or
    +inf in an unmasked emission makes the row's log-likelihood NaN. A score of -inf forbids; it never makes a
    NaN, in values or gradients.

    Most methods take two more tensors, which change the problem for one batch:

    - ``allowed`` (B, T, K) bool: which tags are legal at each position (words of a dictionary, a lattice).
      The others have probability 0.
    - ``pairwise`` (B, T - 1, K, K): scores of the batch's own, added to the transitions on entering position
      t + 1; read if that position is unmasked and not the first. Only the reference backend takes them:
      "auto" then means that backend.

    Args:
        num_tags: K, the number of tags.
        batch_first: whether the batch axis comes before the time axis.
        constraints: which paths are legal, in training and decoding alike; None for all. Not part of the
            state_dict.
        backend: "auto", "native", "numba" or "reference"; see :func:`pybert_crf.backends`.

    Attributes:
        start_transitions: parameter (K,).
        end_transitions: parameter (K,).
        transitions: parameter (K, K), the score of going from the row's tag to the column's.

    Raises:
        ValueError: ``num_tags`` is not positive, the constraints are for another number of tags, or the
            backend is unknown. Every method: a shape, dtype or device does not fit, or the call needs the
            reference backend and another was named.
    """

    def __init__(
        self,
        num_tags: int,
        batch_first: bool = False,
        *,
        constraints: Constraints | None = None,
        backend: str = "auto",
    ) -> None:
        if num_tags <= 0:
            raise ValueError(f"invalid number of tags: {num_tags}")
        check_name(backend)
        super().__init__()
        self.num_tags = num_tags
        self.batch_first = batch_first
        self.backend = backend
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        # Constraints are buffers, so that they move with the module.
        constraints = constraints or Constraints(None, None, None)
        self._is_constrained = constraints != (None, None, None)
        for name, allowed in constraints._asdict().items():
            if allowed is not None:
                allowed = check_constraint(name, allowed, getattr(self, _PARAMETERS[name]))
            self.register_buffer(f"_allowed_{name}", allowed, persistent=False)
        self._constraints = constraints if self._is_constrained and self.transitions.is_meta else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the parameters from U(-0.1, 0.1)."""
        # Not by torch.nn.init, which transformers 4 makes do nothing while it builds a model.
        for name in _ORDER_OF_DRAWING:
            getattr(self, name).uniform_(-0.1, 0.1)
        self._unset = {name for name in _ORDER_OF_DRAWING if getattr(self, name).is_meta}
        self._restore_constraints()

    # Parameters and constraints of a layer that was built on the meta device, where no values are.

    @property
    def _is_hf_initialized(self) -> bool:
        """What transformers sets on a module once its ``from_pretrained`` has initialised what is missing.

        It builds a model on the meta device, and puts uninitialised memory in the place of parameters that a
        checkpoint does not have. A tensor that the checkpoint has carries a mark of the same name.
        """
        return bool(self.__dict__.get("_is_initialized", False))

    @_is_hf_initialized.setter
    @torch.no_grad()
    def _is_hf_initialized(self, value: bool) -> None:
        self._is_initialized = value
        for name in sorted(self._unset, key=_ORDER_OF_DRAWING.index) if value else ():
            parameter = getattr(self, name)
            if parameter.is_meta:
                continue
            if not getattr(parameter, "_is_hf_initialized", False):
                parameter.uniform_(-0.1, 0.1)
            self._unset.discard(name)
        if value:
            self._restore_constraints()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._unset -= {name for name in self._unset if prefix + name in state_dict}

    @torch.no_grad()
    def _restore_constraints(self) -> None:
        if self._constraints is None or self.transitions.is_meta:
            return
        for name, allowed in self._constraints._asdict().items():
            if allowed is not None:
                setattr(self, f"_allowed_{name}", allowed.to(self.transitions.device))
        self._constraints = None

    def _check_values(self) -> None:
        """Raise ValueError if parameters that were never set hold what no training makes. Once a layer."""
        self._restore_constraints()
        for name in self._unset:
            values = getattr(self, name).detach()
            if values.is_meta:
                return
            if bool(((values > -torch.inf) & ~(values.abs() <= 1e4)).any()) or bool(values.isnan().any()):
                raise ValueError(
                    f"{name} holds uninitialised memory: the CRF was built on the meta device, and its "
                    "parameters have not been set since; call crf.reset_parameters()"
                )
        self._unset.clear()

    def __prepare_scriptable__(self) -> None:
        """Called by torch.jit.script."""
        raise RuntimeError("CRF does not support TorchScript: use torch.export or torch.compile")

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(num_tags={self.num_tags})"

    # Likelihoods and training objectives.

    def forward(
        self,
        emissions: Tensor,
        tags: Tensor,
        mask: Tensor | None = None,
        reduction: str = "sum",
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
        weights: Tensor | None = None,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """The log-likelihood of ``tags``: their score minus log Z. Its negative is the loss.

        Args:
            emissions: (B, T, K) floating point.
            tags: (B, T) integers, 0..K-1 where unmasked; anything where masked.
            mask: (B, T).
            reduction: "none", "sum" over rows, "mean" over rows, or "token_mean": over unmasked positions.
                The mean of nothing is 0.
            allowed: see the class.
            pairwise: see the class.
            weights: (B,) how many rows each row counts as, in sums and in the counts they are divided by.
            class_weights: (K,), reference backend only: the weight w of each tag. The log-likelihood is a sum
                of conditional ones, each of which is weighted: sum_t w[y_t] log P(y_t | y_{t+1}, x).
            label_smoothing: e in [0, 1), reference backend only:
                (1 - e) * log-likelihood + e * sum_t mean_k log P(y_t = k | x), over the tags k possible at t.

        Returns:
            (B,) for "none", else (). 0 for a row with nothing unmasked, -inf for one with no legal path.

        Raises:
            ValueError: a shape, a dtype or the reduction does not fit; on the CPU, an unmasked tag is out of
                range (elsewhere that is a device-side assertion).
        """
        check_reduction(reduction)
        objective = ""  # one other than the log-likelihood
        if label_smoothing != 0:
            objective = "label smoothing"
            check_fraction("label_smoothing", label_smoothing)
        if class_weights is not None:
            objective = "class weights"
            check_vector("class_weights", class_weights, self.num_tags)
        problem = self._problem(emissions, mask, tags, allowed, pairwise, reference_for=objective)
        check_order(tags, mask)
        tags = self._tags(tags)
        if weights is not None:
            check_vector("weights", weights, tags.shape[0])
        if not objective:
            return autograd.reduced_log_likelihood(tags, problem, reduction, weights)
        likelihood = objectives.smoothed_log_likelihood(tags, problem, class_weights, label_smoothing)
        return reduce(likelihood, problem.chain.mask, reduction, weights)

    def partial_log_likelihood(
        self,
        emissions: Tensor,
        candidates: Tensor,
        mask: Tensor | None = None,
        reduction: str = "sum",
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The log-probability that every tag is one of its candidates, for partial or ambiguous labels.

        It is log Z of the paths through candidates alone, minus log Z (Tsuboi et al., 2008). If tags of -1
        are unknown and the others certain, the candidates are
        ``one_hot(tags.clamp(min=0), K).bool() | (tags < 0)[..., None]``.

        Args:
            candidates: (B, T, K) bool; the others as for :meth:`forward`.

        Returns:
            (B,) for "none", else (). -inf for a row with no legal path, or with none through candidates.
        """
        check_reduction(reduction)
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        check_allowed("candidates", candidates, emissions)
        likelihood = objectives.partial_log_likelihood(problem, self._batch_first(candidates))
        return reduce(likelihood, problem.chain.mask, reduction)

    def log_partition(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """log Z (B,), differentiable; -inf for a row with no legal path, 0 for one with nothing unmasked."""
        return autograd.log_partition(*self._problem(emissions, mask, None, allowed, pairwise))

    def score(
        self,
        emissions: Tensor,
        tags: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The score (B,) of the paths ``tags`` (B, T), as in :meth:`forward`. Differentiable."""
        chain, _, pairwise = self._problem(emissions, mask, tags, allowed, pairwise)
        tags = self._tags(tags)
        check_tags(tags, chain.mask, self.num_tags)
        return path_score(tags, chain, pairwise)

    # Best paths.

    @torch.no_grad()
    def decode(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> list[list[int]]:
        """The best tags of each row: one list per row, one tag per unmasked position.

        Of equal paths the one with the lowest tags wins, compared from the last position backwards.

        Raises:
            ValueError: a row has no legal path, or NaN or +inf in an unmasked emission; names the row.
        """
        if is_recorded():
            raise RuntimeError(
                "decode returns Python lists, which a trace keeps as constants: use viterbi in the traced "
                "model, torch.export, or pybert_crf.crf.onnx.export_viterbi"
            )
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        tags, scores = autograd.viterbi(*problem)
        check_best(scores, problem.chain)
        return to_lists(tags, problem.chain.mask)

    @torch.no_grad()
    def viterbi(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        k: int = 1,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The k best paths of each row as tensors, with no host synchronisation, outside autograd.

        Of equal paths the one with the lowest tags comes first, compared from the last position backwards.

        Returns:
            tags (B, T) int64, -1 where masked, and scores (B,): 0 for a row with nothing unmasked, -inf for
            one with no legal path, NaN for one with NaN or +inf in it. The tags of the latter two are
            unspecified, but each is -1 or in 0..K-1.
            For k > 1, (k, B, T) and (k, B), the best first, with k cut to the K**T paths that there are;
            beyond the number of legal paths (1 for a row with nothing unmasked) scores are -inf and tags -1.
        """
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        if k == 1:
            tags, scores = autograd.viterbi(*problem)
            return self._as_given(tags), scores
        if k < 1:
            raise ValueError(f"k must be positive, got {k}")
        T, K = problem.chain.emissions.shape[1:]
        tags, scores = autograd.k_best(count_paths(k, T, K), *problem)
        return self._as_given(tags, batch_axis=1), scores

    @torch.no_grad()
    def posterior_decode(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The most probable tag of each position by itself, and its posterior probability (max-marginal).

        This makes the fewest wrong tags in expectation (docs/crf/theory.md, eq. 25), and :meth:`viterbi` the
        fewest wrong rows. The tags together may not be a legal path. Of equal tags the lowest wins.

        Returns:
            tags (B, T) int64, -1 where masked or if no path is legal, and probabilities (B, T), 0 there.
        """
        probabilities, tags = self.marginals(emissions, mask, allowed=allowed, pairwise=pairwise).max(dim=2)
        return torch.where(probabilities > 0, tags, -1), probabilities

    # The posterior distribution P(y | x) of a row's path.

    def marginals(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The posterior probabilities (B, T, K) of the tags; 0 where masked or if no path is legal.

        They are the gradient of log Z. With the reference backend they are themselves differentiable; with
        the others they come outside autograd.
        """
        return self._as_given(autograd.marginals(*self._problem(emissions, mask, None, allowed, pairwise)))

    def transition_marginals(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The posterior probabilities (B, T - 1, K, K) of neighbouring tags; differentiable as the marginals.

        At [b, t - 1, i, j]: that position t has tag j, and the unmasked position before it tag i. 0 if t is
        masked or the first unmasked position, and if no path is legal.
        """
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        return self._as_given(entropy.transition_marginals(problem))

    def entropy(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The entropy (B,) in nats of the posterior distribution of each row's path.

        0 for a row with nothing unmasked, or with no legal path. Differentiable as the marginals are.
        """
        return entropy.entropy(self._problem(emissions, mask, None, allowed, pairwise))

    def kl_divergence(
        self, emissions: Tensor, other: CRF, other_emissions: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """KL(P || Q) (B,) in nats, from this layer's distribution of each row's path to the other layer's.

        Args:
            other: a layer with the same number of tags.
            other_emissions: (B, T, K), in the same layout as ``emissions``.

        Returns:
            (B,) inf if Q forbids a path that P allows; 0 for a row with nothing unmasked, or with no legal
            path in P. Differentiable in both if both have the reference backend.
        """
        problem = self._problem(emissions, mask)
        _check_other(other_emissions, emissions)
        batch_first = (self._batch_first(other_emissions), problem.chain.mask)
        return entropy.kl_divergence(problem, other._problem(*map(other._as_given, batch_first)))

    def symmetric_divergence(
        self, emissions: Tensor, other_emissions: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """KL(P || Q) + KL(Q || P) (B,) in nats, of this layer's distributions of each row's path.

        P is that of the emissions (B, T, K), Q that of the other emissions: of the same text encoded once
        more with another dropout (Wu et al., 2021, "R-Drop"). Differentiable once, by any backend.
        """
        problem = self._problem(emissions, mask)
        _check_other(other_emissions, emissions)
        return symmetric_divergence(problem, self._batch_first(other_emissions))

    @torch.no_grad()
    def sample(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        n: int = 1,
        generator: torch.Generator | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """n independent paths of each row, drawn with exactly their posterior probabilities.

        Args:
            generator: the source of randomness; None for torch's own. The same state gives the same paths, on
                any number of threads.

        Returns:
            tags (n, B, T) int64, -1 where masked and in rows with no legal path.
        """
        if n < 0:
            raise ValueError(f"n must not be negative, got {n}")
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        (B, T), device = problem.chain.mask.shape, emissions.device
        wide = torch.float32 if device.type == "mps" else torch.float64
        uniforms = torch.rand(n, B, T, dtype=wide, generator=generator, device=device)
        return self._as_given(autograd.sample(uniforms, *problem), batch_axis=1)

    @torch.no_grad()
    def span_probabilities(
        self,
        emissions: Tensor,
        tags: Tensor,
        spans: Sequence[tuple[int, int, int]] | Tensor,
        mask: Tensor | None = None,
        continuing: Tensor | None = None,
    ) -> Tensor:
        """The joint posterior probability of the tags of each span, outside autograd.

        Args:
            emissions: (B, T, K).
            tags: (B, T), as in :meth:`forward`: often those of :meth:`viterbi`.
            spans: (S, 3): batch row, start and end, half-open, counted in the row's unmasked positions.
            mask: (B, T).
            continuing: (K, K) bool, true at [i, j] if a tag j after a span's last tag i would make it longer
                (B-PER, I-PER). If given, the probability is also that no such tag follows the span.

        Returns:
            (S,) probabilities.

        Raises:
            ValueError: as :meth:`forward`, or a span is empty or not within its row; names the span.
        """
        problem = self._problem(emissions, mask, tags)
        tags = self._tags(tags)
        check_tags(tags, problem.chain.mask, self.num_tags)
        spans = check_spans(spans, problem.chain.mask)
        return span_probabilities(problem, tags, spans, continuing)

    # pytorch-crf's private methods, for those who call them. Except in _validate, time comes first.

    def _validate(self, emissions: Tensor, tags: Tensor | None = None, mask: Tensor | None = None) -> None:
        check_given(emissions, self.num_tags, tags, mask)

    def _compute_score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return self.score(*map(self._from_time_first, (emissions, tags, mask)))

    def _compute_normalizer(self, emissions: Tensor, mask: Tensor) -> Tensor:
        return self.log_partition(*map(self._from_time_first, (emissions, mask)))

    def _viterbi_decode(self, emissions: Tensor, mask: Tensor) -> list[list[int]]:
        return self.decode(*map(self._from_time_first, (emissions, mask)))

    def _from_time_first(self, given: Tensor) -> Tensor:
        return given.transpose(0, 1) if self.batch_first else given

    # From the caller's tensors to the chain that the backends take, and back.

    def _problem(
        self,
        emissions: Tensor,
        mask: Tensor | None,
        tags: Tensor | None = None,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
        *,
        reference_for: str = "",
    ) -> Problem:
        """Check everything that backends rely on; bring it to batch-first, one dtype and a bool mask.

        ``reference_for`` names something in the call that only the reference backend can do.
        """
        if is_recorded() and torch.onnx.is_in_onnx_export():
            raise RuntimeError(
                "the ONNX exporter that traces (dynamo=False) has no form for a CRF: export the encoder by "
                "it, and the CRF by pybert_crf.crf.onnx.export_viterbi"
            )
        if (self._unset or self._constraints is not None) and not torch.compiler.is_compiling():
            self._check_values()
        check_given(emissions, self.num_tags, tags, mask)
        if allowed is not None:
            check_allowed("allowed", allowed, emissions)
        if pairwise is not None:
            check_pairwise(pairwise, emissions, self.batch_first)
            reference_for = "pairwise scores"
        if reference_for and self.backend not in ("auto", "reference"):
            raise ValueError(
                f"the {self.backend} backend has no {reference_for}: use CRF(..., backend='reference')"
            )

        chain = self._chain(emissions, mask)
        if allowed is not None:
            chain = chain.narrowed(self._batch_first(allowed))
        if pairwise is not None:
            pairwise = self._batch_first(pairwise).to(chain.emissions.dtype)
        plain = bool(reference_for) or is_transformed()
        backend = "reference" if plain else choose(self.backend, emissions.device.type)
        return Problem(chain, backend, pairwise)

    def _chain(self, emissions: Tensor, mask: Tensor | None) -> Chain:
        if not self.batch_first:
            emissions = emissions.transpose(0, 1)
            mask = None if mask is None else mask.transpose(0, 1)
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        elif mask.dtype != torch.bool:
            mask = mask != 0
        start: Tensor = self.start_transitions
        transitions: Tensor = self.transitions
        end: Tensor = self.end_transitions
        if self._is_constrained:
            start, transitions, end = (self._scores(name) for name in _PARAMETERS)
        dtype = emissions.dtype
        if not (dtype in DTYPES and dtype == start.dtype == transitions.dtype == end.dtype):
            # At least single precision: half of it loses the sums of a long row.
            dtype = torch.promote_types(torch.promote_types(dtype, transitions.dtype), torch.float32)
            emissions = emissions.to(dtype)
            start, transitions, end = (part.to(dtype) for part in (start, transitions, end))
        # A lazily negated tensor has the address of the numbers before negation.
        if not torch.compiler.is_compiling() and emissions._is_zerotensor():
            emissions = torch.zeros(emissions.shape, dtype=dtype, device=emissions.device)
        chain = Chain(
            emissions.resolve_neg(), mask, start.resolve_neg(), transitions.resolve_neg(), end.resolve_neg()
        )
        check_parameters(chain)
        return chain

    def _scores(self, name: str) -> Tensor:
        """A parameter, with -inf where the constraints forbid: no path there, and no gradient."""
        parameter: Tensor = getattr(self, _PARAMETERS[name])
        allowed: Tensor | None = getattr(self, f"_allowed_{name}")
        return parameter if allowed is None else torch.where(allowed, parameter, NEG_INF)

    def _tags(self, tags: Tensor) -> Tensor:
        """A caller's tags, brought to batch-first int64. Raises ValueError if they are not integers."""
        if tags.dtype != torch.int64:
            if tags.is_floating_point() or tags.is_complex() or tags.dtype == torch.bool:
                raise ValueError(f"tags must be integers, got {tags.dtype}")
            tags = tags.to(torch.int64)
        return tags if self.batch_first else tags.transpose(0, 1)

    def _batch_first(self, given: Tensor) -> Tensor:
        """A caller's tensor with a batch and a time axis, brought to batch-first."""
        return given if self.batch_first else given.transpose(0, 1)

    def _as_given(self, result: Tensor, batch_axis: int = 0) -> Tensor:
        """A batch-first result in the layout of the caller's emissions."""
        return result if self.batch_first else result.transpose(batch_axis, batch_axis + 1)


def _check_other(other_emissions: Tensor, emissions: Tensor) -> None:
    """Raise ValueError unless both have the same shape."""
    if other_emissions.shape != emissions.shape:
        raise ValueError(
            f"other_emissions must be of the emissions' shape {tuple(emissions.shape)}, "
            f"got {tuple(other_emissions.shape)}"
        )
