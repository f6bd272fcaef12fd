"""Dynamic quantisation of an ONNX graph: the encoder's linear layers in 8-bit integers.

Weights are stored as int8 with one scale for each output; activations are quantised at each call to uint8,
with one scale for each matrix (onnxruntime's ``quantize_dynamic``). The weights use 7 of the 8 bits, because
without VNNI (AVX2, older AVX-512) two products of 8 bits silently overflow the 16 bits of their sum.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def quantised(graph: onnx.ModelProto, keep: Sequence[int]) -> onnx.ModelProto:
    """`graph` with quantised products of activations and weights.

    Args:
        keep: the shape of the one weight that is not quantised, the linear layer's before the CRF.

    Raises:
        ValueError: there is nothing to quantise.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    weights = {each.name: list(each.dims) for each in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type in ("MatMul", "Gemm")]
    of_weights = {node.name: weights[node.input[1]] for node in products if node.input[1] in weights}
    spared = (list(keep), list(reversed(keep)))
    chosen = [name for name, shape in of_weights.items() if shape not in spared]
    if not chosen:
        raise ValueError("int8: the encoder has no linear layer")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        quantize_dynamic(
            graph,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_quantize=chosen,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)
