"""The probabilities that those of entities are products of, as an ONNX model.

The factors are those of `pybert_crf.crf.posterior.spans` (docs/crf/theory.md, eq. 27). One Scan keeps the
log forward messages, relative to the greatest of their position; a second one walks back with the
posterior marginals. All in float64, as in ``CRF.span_probabilities``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pybert_crf.crf.module import CRF
from pybert_crf.crf.onnx.graphs import build, crf_scores

if TYPE_CHECKING:
    import onnx

# As in `pybert_crf.crf.onnx.viterbi`. In `back`, "next" is the closest unmasked position that follows.
_TEXT = """
<ir_version: 8, opset_import: ["": 18], producer_name: "pybert-crf">
posterior (REAL[batch, time, K] emissions, bool[batch, time] mask, int64[batch, time] tags)
    => (double[batch, time] given_next, double[batch, time] closing)
{
    # Time first, after one more position, masked: a Scan takes no sequence of length 0.
    wide_emissions = Cast <to = 11> (emissions)
    swapped_emissions = Transpose <perm = [1, 0, 2]> (wide_emissions)
    swapped_mask = Transpose <perm = [1, 0]> (mask)
    swapped_tags = Transpose <perm = [1, 0]> (tags)
    emitted = Pad (swapped_emissions, one_position_more)
    kept = Pad (swapped_mask, one_position_of_rows_more)
    some_tags = Pad (swapped_tags, one_position_of_rows_more)
    known_tags = Max (some_tags, no_position)
    counted = Cast <to = 6> (kept)
    ordinal = CumSum (counted, time_axis)
    reaches_one = Equal (ordinal, one)
    is_first = And (kept, reaches_one)

    batch_and_tags = Shape <start = 1> (emitted)
    batch_alone = Shape <start = 1> (kept)
    nothing = Expand (zero, batch_and_tags)
    last_alpha, alphas = Scan <num_scan_inputs = 3, body = step (
        double[batch, K] alpha_before, double[batch, K] emission, bool[batch] on, bool[batch] first
    ) => (double[batch, K] alpha_after, double[batch, K] alpha) {
        from_all = Unsqueeze (alpha_before, axis_1)
        arriving = Add (from_all, into)
        top = ReduceMax (arriving, axis_2)
        shift = Max (top, lowest)
        below = Sub (arriving, shift)
        weights = Exp (below)
        total = ReduceSum <keepdims = 0> (weights, axis_2)
        log_total = Log (total)
        shift_of_tag = Squeeze (shift, axis_2)
        moved = Add (log_total, shift_of_tag)
        first_of_row = Unsqueeze (first, axis_1)
        incoming = Where (first_of_row, start, moved)
        grown = Add (incoming, emission)
        greatest = ReduceMax (grown, axis_1)
        offset = Max (greatest, lowest)
        relative = Sub (grown, offset)
        on_row = Unsqueeze (on, axis_1)
        alpha_after = Where (on_row, relative, alpha_before)
        alpha = Identity (alpha_after)
    }> (nothing, emitted, kept, is_first)

    no_tags = Expand (no_position, batch_alone)
    no_next = Expand (false, batch_alone)
    first_tag, first_marginal, any_position, links, closes = Scan <
        num_scan_inputs = 3, scan_input_directions = [1, 1, 1], scan_output_directions = [1, 1], body = back (
        int64[batch] next_tag, double[batch, K] next_marginal, bool[batch] has_next,
        double[batch, K] alpha_here, int64[batch] tag, bool[batch] on_tag
    ) => (
        int64[batch] tag_after, double[batch, K] marginal_after, bool[batch] has_after,
        double[batch] link, double[batch] close
    ) {
        # At [b, j, i] the probability of tag i here, given tag j next; then of both.
        from_here = Unsqueeze (alpha_here, axis_1)
        leaving = Add (from_here, into)
        top_here = ReduceMax (leaving, axis_2)
        shift_here = Max (top_here, lowest)
        below_here = Sub (leaving, shift_here)
        weight = Exp (below_here)
        sum = ReduceSum (weight, axis_2)
        positive_sum = Max (sum, tiny)
        given = Div (weight, positive_sum)
        next_column = Unsqueeze (next_marginal, axis_2)
        joint = Mul (given, next_column)
        inner_marginal = ReduceSum <keepdims = 0> (joint, axis_1)

        ended = Add (alpha_here, end)
        top_ended = ReduceMax (ended, axis_1)
        shift_ended = Max (top_ended, lowest)
        below_ended = Sub (ended, shift_ended)
        weight_ended = Exp (below_ended)
        sum_ended = ReduceSum (weight_ended, axis_1)
        positive_end = Max (sum_ended, tiny)
        last_marginal = Div (weight_ended, positive_end)
        has_next_row = Unsqueeze (has_next, axis_1)
        marginal = Where (has_next_row, inner_marginal, last_marginal)

        tag_column = Unsqueeze (tag, axis_1)
        is_tag = Equal (tag_column, tag_numbers)
        is_tag_of_pair = Unsqueeze (is_tag, axis_1)
        given_of_tag = Where (is_tag_of_pair, given, zero)
        tag_given = ReduceSum <keepdims = 0> (given_of_tag, axis_2)
        next_tag_column = Unsqueeze (next_tag, axis_1)
        is_next_tag = Equal (next_tag_column, tag_numbers)
        tag_given_tag = Where (is_next_tag, tag_given, zero)
        chosen_given = ReduceSum <keepdims = 0> (tag_given_tag, axis_1)

        tag_and_next = Mul (tag_given, next_marginal)
        may_follow = Gather (ending, tag)
        tag_and_end = Mul (tag_and_next, may_follow)
        closed = ReduceSum <keepdims = 0> (tag_and_end, axis_1)
        marginal_of_tag = Where (is_tag, marginal, zero)
        closed_last = ReduceSum <keepdims = 0> (marginal_of_tag, axis_1)
        closed_here = Where (has_next, closed, closed_last)

        one_here = Where (has_next, chosen_given, one_probability)
        link = Where (on_tag, one_here, zero)
        close = Where (on_tag, closed_here, zero)
        on_tag_row = Unsqueeze (on_tag, axis_1)
        tag_after = Where (on_tag, tag, next_tag)
        marginal_after = Where (on_tag_row, marginal, next_marginal)
        has_after = Or (has_next, on_tag)
    }> (no_tags, nothing, no_next, alphas, known_tags, kept)

    given_links = Slice (links, axis_1, end_of_axis, axis_0)
    given_closes = Slice (closes, axis_1, end_of_axis, axis_0)
    given_next = Transpose <perm = [1, 0]> (given_links)
    closing = Transpose <perm = [1, 0]> (given_closes)
}
"""


def posterior_model(crf: CRF, continuing: Tensor) -> onnx.ModelProto:
    """The factors of ``crf.span_probabilities`` as an ONNX model, checked.

    With them the probability of a span ``start:end`` of the tags is
    ``given_next[b, start : end - 1].prod() * closing[b, end - 1]``.

    Args:
        continuing: (K, K) bool, true at [i, j] if a tag j after a last tag i would make a span longer.

    Inputs (batch B and time T are free, K is the CRF's number of tags; batch-first always):
        emissions: (B, T, K), float32, or float64 if the CRF's parameters are.
        mask: (B, T) bool. Any mask is legal; values at masked positions are never read.
        tags: (B, T) int64, in 0..K-1 where the mask is on.

    Outputs, float64, 0 where masked:
        given_next: (B, T), the posterior probability of the tag given the next position's; 1 at the last one.
        closing: (B, T), the posterior probability that this is the tag and that no continuing tag follows it.

    Rows with NaN or +inf in them, and rows with no legal path, have unspecified probabilities.

    Raises:
        ImportError: the package onnx is not installed.
        ValueError: a parameter of the CRF is NaN or +inf.
    """
    dtype, scores = crf_scores(crf)
    wide = {name: tensor.double() for name, tensor in scores.items()}
    ending = (~continuing).to("cpu", torch.float64)
    return build(_TEXT, crf.num_tags, dtype, {**wide, "ending": ending, **_constants(crf.num_tags)})


def _constants(num_tags: int) -> dict[str, Tensor]:
    """The constants of the graph, by the names that it gives them."""
    return {
        "zero": torch.zeros((), dtype=torch.float64),
        "one_probability": torch.ones((), dtype=torch.float64),
        "tiny": torch.tensor(torch.finfo(torch.float64).tiny, dtype=torch.float64),
        "lowest": torch.tensor(torch.finfo(torch.float64).min, dtype=torch.float64),  # -inf minus it is -inf
        "one": torch.tensor(1, dtype=torch.int32),
        "false": torch.tensor(False),
        "no_position": torch.tensor(0),
        "tag_numbers": torch.arange(num_tags),
        "time_axis": torch.tensor(0),
        "axis_0": torch.tensor([0]),
        "axis_1": torch.tensor([1]),
        "axis_2": torch.tensor([2]),
        "end_of_axis": torch.tensor([torch.iinfo(torch.int64).max]),
        "one_position_more": torch.tensor([1, 0, 0, 0, 0, 0]),
        "one_position_of_rows_more": torch.tensor([1, 0, 0, 0]),
    }
