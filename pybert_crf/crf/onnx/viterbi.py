"""Viterbi decoding as an ONNX model.

The recursion is that of ``CRF.viterbi``, without back-pointers: one Scan keeps the scores of every step, and
a second one walks back through them: for the tag it has reached it finds the lowest previous tag whose score
plus transition is the greatest.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pybert_crf.crf.module import CRF
from pybert_crf.crf.onnx.graphs import build, crf_scores
from pybert_crf.files import replacing

if TYPE_CHECKING:
    import onnx

# ONNX's textual syntax; REAL is float or double, K the number of tags. Names that no node defines are the
# initializers of `viterbi_model`. Inside of `step` and `back` the values are those of one position.
_TEXT = """
<ir_version: 8, opset_import: ["": 18], producer_name: "pybert-crf">
viterbi (REAL[batch, time, K] emissions, bool[batch, time] mask)
    => (int64[batch, time] tags, REAL[batch] scores)
{
    # Time first, after one more position, masked: a Scan takes no sequence of length 0.
    swapped_emissions = Transpose <perm = [1, 0, 2]> (emissions)
    swapped_mask = Transpose <perm = [1, 0]> (mask)
    emitted = Pad (swapped_emissions, one_position_more)
    kept = Pad (swapped_mask, one_position_of_mask_more)
    counted = Cast <to = 6> (kept)
    ordinal = CumSum (counted, time_axis)
    reaches_one = Equal (ordinal, one)
    is_first = And (kept, reaches_one)

    batch_and_tags = Shape <start = 1> (emitted)
    nothing = Expand (zero, batch_and_tags)
    best, befores, tops = Scan <num_scan_inputs = 3, body = step (
        REAL[batch, K] best_before, REAL[batch, K] emission, bool[batch] on, bool[batch] first
    ) => (REAL[batch, K] best_after, REAL[batch, K] before, REAL[batch] top) {
        before = Identity (best_before)
        from_all = Unsqueeze (best_before, axis_1)
        arriving = Add (from_all, into)
        moved = ReduceMax <keepdims = 0> (arriving, axis_2)
        first_of_row = Unsqueeze (first, axis_1)
        incoming = Where (first_of_row, start, moved)
        grown = Add (incoming, emission)
        greatest = ReduceMax (grown, axis_1)
        shift = Max (greatest, lowest)
        relative = Sub (grown, shift)
        on_row = Unsqueeze (on, axis_1)
        best_after = Where (on_row, relative, best_before)
        top = Squeeze (shift, axis_1)
    }> (nothing, emitted, kept, is_first)

    ended = Add (best, end)
    last_tag = ArgMax <axis = 1, keepdims = 0> (ended)
    first_tag, path = Scan <
        num_scan_inputs = 2, scan_input_directions = [1, 1], scan_output_directions = [1], body = back (
        int64[batch] tag, REAL[batch, K] before_tag, bool[batch] on_tag
    ) => (int64[batch] tag_before, int64[batch] chosen) {
        into_tag = Gather (into, tag)
        paths = Add (before_tag, into_tag)
        previous = ArgMax <axis = 1, keepdims = 0> (paths)
        tag_before = Where (on_tag, previous, tag)
        chosen = Where (on_tag, tag, no_tag)
    }> (last_tag, befores, kept)
    given_positions = Slice (path, axis_1, end_of_axis, axis_0)
    tags = Transpose <perm = [1, 0]> (given_positions)

    # The shifts are summed in double precision: a long row has many.
    shifts = Where (kept, tops, zero)
    wide_shifts = Cast <to = 11> (shifts)
    offset = ReduceSum <keepdims = 0> (wide_shifts, axis_0)
    ended_best = ReduceMax <keepdims = 0> (ended, axis_1)
    wide_best = Cast <to = 11> (ended_best)
    wide_score = Add (offset, wide_best)
    score = CastLike (wide_score, zero)
    length = ReduceMax <keepdims = 0> (counted, axis_0)
    is_nonempty = Cast <to = 9> (length)
    known_score = Where (is_nonempty, score, zero)

    # NaN and +inf make the score NaN, and the maximum of NaN differs between runtimes.
    is_usable = Less (emitted, infinity)
    is_nan_or_inf = Not (is_usable)
    kept_tags = Unsqueeze (kept, axis_2)
    is_read_nan = And (is_nan_or_inf, kept_tags)
    nan_counts = Cast <to = 6> (is_read_nan)
    nan_count = ReduceMax <keepdims = 0> (nan_counts, time_and_tags)
    has_nan = Cast <to = 9> (nan_count)
    scores = Where (has_nan, nan, known_score)
}
"""


def export_viterbi(crf: CRF, path: str | Path) -> None:
    """Write :func:`viterbi_model` of ``crf`` to ``path``, whole or not at all.

    Raises:
        ImportError: the package onnx is not installed.
        ValueError: a parameter of the CRF is NaN or +inf.
    """
    model = viterbi_model(crf)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def viterbi_model(crf: CRF) -> onnx.ModelProto:
    """``crf.viterbi`` as an ONNX model, checked; the CRF's constraints are part of it.

    Inputs (batch B and time T are free, K is the CRF's number of tags; batch-first always):
        emissions: (B, T, K), float32, or float64 if the CRF's parameters are.
        mask: (B, T) bool. Any mask is legal; values at masked positions are never read.

    Outputs:
        tags: (B, T) int64, -1 where masked. Of equal paths the one with the lowest tags wins, compared from
            the last position backwards.
        scores: (B,) of the emissions' dtype; 0 for a row with nothing unmasked, -inf for one with no legal
            path, NaN for one with NaN or +inf in it. The tags of the latter two are unspecified but in
            range.

    To put it behind an encoder's model, see ``onnx.compose.merge_models``.

    Raises:
        ImportError: the package onnx is not installed.
        ValueError: a parameter of the CRF is NaN or +inf.
    """
    dtype, scores = crf_scores(crf)
    return build(_TEXT, crf.num_tags, dtype, {**scores, **_constants(dtype)})


def _constants(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The constants of the graph, by the names that it gives them."""
    return {
        "zero": torch.zeros((), dtype=dtype),
        "lowest": torch.tensor(torch.finfo(dtype).min, dtype=dtype),  # -inf minus it is -inf, not NaN
        "nan": torch.tensor(torch.nan, dtype=dtype),
        "infinity": torch.tensor(torch.inf, dtype=dtype),
        "one": torch.tensor(1, dtype=torch.int32),
        "no_tag": torch.tensor(-1),
        "time_axis": torch.tensor(0),
        "axis_0": torch.tensor([0]),
        "axis_1": torch.tensor([1]),
        "axis_2": torch.tensor([2]),
        "time_and_tags": torch.tensor([0, 2]),
        "end_of_axis": torch.tensor([torch.iinfo(torch.int64).max]),
        "one_position_more": torch.tensor([1, 0, 0, 0, 0, 0]),
        "one_position_of_mask_more": torch.tensor([1, 0, 0, 0]),
    }
