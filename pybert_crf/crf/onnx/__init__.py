"""The CRF as ONNX models, for runtimes without Python or torch.

::

    from pybert_crf.crf.onnx import export_viterbi
    export_viterbi(crf, "viterbi.onnx")

    session = onnxruntime.InferenceSession("viterbi.onnx")
    tags, scores = session.run(None, {"emissions": emissions, "mask": mask})

`posterior_model` adds the probabilities that those of entities are products of. Operators of opset 18 only:
onnxruntime 1.14 or later.

Needs the package onnx: ``pip install 'pybert-crf[onnx]'``.
"""

from __future__ import annotations

from pybert_crf.crf.onnx.posterior import posterior_model
from pybert_crf.crf.onnx.viterbi import export_viterbi, viterbi_model

__all__ = ["export_viterbi", "posterior_model", "viterbi_model"]
