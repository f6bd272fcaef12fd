"""The probabilities that those of entities are products of, as an ONNX model.

The factors are those of `pybert_crf.crf.posterior.spans` (docs/crf/theory.md, eq. 27). One Scan keeps the
log forward messages, relative to the greatest of their position; a second one walks back with the log
backward messages. All in float64, as in ``CRF.span_probabilities``.
"""

from __future__ import annotations

import re
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
        log_sum = LogSumExp (arriving)
        moved = Squeeze (log_sum, axis_2)
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
    first_tag, first_rest, any_position, betas, next_rests, next_tags, have_next = Scan <
        num_scan_inputs = 3, scan_input_directions = [1, 1, 1], scan_output_directions = [1, 1, 1, 1],
        body = back (
        int64[batch] next_tag, double[batch, K] next_rest, bool[batch] has_next,
        double[batch, K] emission_here, int64[batch] tag, bool[batch] on_tag
    ) => (
        int64[batch] tag_after, double[batch, K] rest_after, bool[batch] has_after,
        double[batch, K] beta, double[batch, K] next_rest_out, int64[batch] next_tag_out,
        bool[batch] has_next_out
    ) {
        # `rest` is of a position's emission and all that follows it.
        rest_of_all = Unsqueeze (next_rest, axis_1)
        leaving = Add (rest_of_all, transitions)
        log_sum_of_rest = LogSumExp (leaving)
        followed = Squeeze (log_sum_of_rest, axis_2)
        has_next_row = Unsqueeze (has_next, axis_1)
        beta = Where (has_next_row, followed, end)
        rest = Add (beta, emission_here)
        greatest_rest = ReduceMax (rest, axis_1)
        rest_offset = Max (greatest_rest, lowest)
        relative_rest = Sub (rest, rest_offset)
        on_tag_row = Unsqueeze (on_tag, axis_1)
        tag_after = Where (on_tag, tag, next_tag)
        rest_after = Where (on_tag_row, relative_rest, next_rest)
        has_after = Or (has_next, on_tag)
        next_rest_out = Identity (next_rest)
        next_tag_out = Identity (next_tag)
        has_next_out = Identity (has_next)
    }> (no_tags, nothing, no_next, emitted, known_tags, kept)

    # All that follows is of every position at once: (time, batch) or (time, batch, K).
    through = Add (alphas, betas)
    total = LogSumExp (through)
    tag_column = Unsqueeze (known_tags, axis_2)
    alpha_of_tag = GatherElements <axis = 2> (alphas, tag_column)
    beyond_tag = Gather (transitions, known_tags)
    tag_to_all = Add (alpha_of_tag, beyond_tag)
    tag_and_next = Add (tag_to_all, next_rests)
    log_pairs = Sub (tag_and_next, total)
    pairs = Exp (log_pairs)
    may_follow = Gather (ending, known_tags)
    ended_pairs = Mul (pairs, may_follow)
    closed = ReduceSum <keepdims = 0> (ended_pairs, axis_2)
    through_tag = GatherElements <axis = 2> (through, tag_column)
    log_marginal = Sub (through_tag, total)
    marginal_column = Exp (log_marginal)
    marginal = Squeeze (marginal_column, axis_2)
    closes_here = Where (have_next, closed, marginal)
    closes = Where (kept, closes_here, zero)

    next_column = Unsqueeze (next_tags, axis_2)
    into_next = Gather (into, next_tags)
    all_to_next = Add (alphas, into_next)
    into_total = LogSumExp (all_to_next)
    tag_to_next = GatherElements <axis = 2> (tag_to_all, next_column)
    log_given = Sub (tag_to_next, into_total)
    given_column = Exp (log_given)
    given = Squeeze (given_column, axis_2)
    link = Where (have_next, given, one_probability)
    links = Where (kept, link, zero)

    given_links = Slice (links, axis_1, end_of_axis, axis_0)
    given_closes = Slice (closes, axis_1, end_of_axis, axis_0)
    given_next = Transpose <perm = [1, 0]> (given_links)
    closing = Transpose <perm = [1, 0]> (given_closes)
}
"""

# What ``RESULT = LogSumExp (VALUES)`` stands for, over axis 2, which is kept. Not ONNX's ReduceLogSumExp: in
# onnxruntime it underflows to -inf if rows differ by much. -inf minus the lowest number is -inf, not NaN.
_LOG_SUM_EXP = """RESULT_top = ReduceMax (VALUES, axis_2)
RESULT_shift = Max (RESULT_top, lowest)
RESULT_below = Sub (VALUES, RESULT_shift)
RESULT_weights = Exp (RESULT_below)
RESULT_sum = ReduceSum (RESULT_weights, axis_2)
RESULT_log = Log (RESULT_sum)
RESULT = Add (RESULT_log, RESULT_shift)"""


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
    wide["transitions"] = wide["into"].T
    text = re.sub(
        r"(\w+) = LogSumExp \((\w+)\)",
        lambda found: _LOG_SUM_EXP.replace("RESULT", found[1]).replace("VALUES", found[2]),
        _TEXT,
    )
    return build(text, crf.num_tags, dtype, {**wide, "ending": ending, **_constants()})


def _constants() -> dict[str, Tensor]:
    """The constants of the graph, by the names that it gives them."""
    return {
        "zero": torch.zeros((), dtype=torch.float64),
        "one_probability": torch.ones((), dtype=torch.float64),
        "lowest": torch.tensor(torch.finfo(torch.float64).min, dtype=torch.float64),  # -inf minus it is -inf
        "one": torch.tensor(1, dtype=torch.int32),
        "false": torch.tensor(False),
        "no_position": torch.tensor(0),
        "time_axis": torch.tensor(0),
        "axis_0": torch.tensor([0]),
        "axis_1": torch.tensor([1]),
        "axis_2": torch.tensor([2]),
        "end_of_axis": torch.tensor([torch.iinfo(torch.int64).max]),
        "one_position_more": torch.tensor([1, 0, 0, 0, 0, 0]),
        "one_position_of_rows_more": torch.tensor([1, 0, 0, 0]),
    }
