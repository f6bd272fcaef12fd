"""A saved tagger as one file for other runtimes: ONNX, or an archive of ``torch.export``.

The graph takes the arrays of `pybert_crf.annotation.examples.Arrays`, and emissions computed before:

    input_ids (windows, length) int64, attention_mask (windows, length) bool,
    first (batch, time) int64, mask (batch, time) bool, carried (carried, K) float32

and gives

    pieces (carried + windows * length, K) float32: the emissions of all pieces, those carried first; `first`
        counts in them. A text of very many windows is encoded some windows at a time, with `first` and
        `mask` of (0, 0), whose `pieces` are carried into the next run; the last run sees the whole text.
    tags (batch, time) int64, -1 where masked, and scores (batch,) float32, theirs (see ``CRF.viterbi``)
    given_next, closing (batch, time) float64, whose products are the entities' probabilities (see
        `pybert_crf.crf.onnx.posterior_model`), at the tagger's temperature.

All sizes but K, the number of tags, are free. The settings that a reader needs are JSON within the file;
`pybert_crf.onnx_tagger` and `pybert_crf.taggers.archive_tagger` are such readers.
"""

from __future__ import annotations

from pybert_crf.export.export import FORMATS, Exported, export_tagger

__all__ = ["FORMATS", "Exported", "export_tagger"]
