"""From ONNX's textual syntax and named tensors to a checked model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pybert_crf.crf.module import CRF

if TYPE_CHECKING:
    import onnx


def build(text: str, num_tags: int, dtype: torch.dtype, tensors: Mapping[str, Tensor]) -> onnx.ModelProto:
    """A model written in ONNX's textual syntax, checked.

    Args:
        text: in which REAL stands for `dtype`, and ``K]`` for `num_tags`.
        dtype: float32 or float64.
        tensors: the initializers, by the names that the text uses without defining them.

    Raises:
        ImportError: the package onnx is not installed.
    """
    try:
        import onnx.checker
        import onnx.numpy_helper
        import onnx.parser
    except ImportError as error:
        raise ImportError(
            f"exporting to ONNX needs the package onnx ({error}): pip install 'pybert-crf[onnx]'"
        ) from error

    real = {torch.float32: "float", torch.float64: "double"}[dtype]
    model = onnx.parser.parse_model(text.replace("REAL", real).replace("K]", f"{num_tags}]"))
    for name, tensor in tensors.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(tensor.contiguous().numpy(), name))
    onnx.checker.check_model(model, full_check=True)
    return model


def crf_scores(crf: CRF) -> tuple[torch.dtype, dict[str, Tensor]]:
    """The dtype of the CRF's scores, at least float32, and the scores with -inf where it forbids.

    ``start`` (K,), ``end`` (K,) and ``into`` (K, K), at [j, i] the score of going from tag i to tag j.

    Raises:
        ValueError: a parameter of the CRF is NaN or +inf.
    """
    dtype = torch.promote_types(crf.transitions.dtype, torch.float32)
    start, transitions, end = (
        crf._scores(name).detach().to("cpu", dtype) for name in ("start", "transitions", "end")
    )
    for scores in (start, transitions, end):
        if not bool((scores < torch.inf).all()):
            raise ValueError(
                f"the transition parameters hold {'NaN' if bool(scores.isnan().any()) else '+inf'}"
            )
    return dtype, {"start": start, "into": transitions.T, "end": end}
