"""A tagger as one ONNX graph: encoder and linear layer from torch's exporter, the CRF from `crf.onnx`."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import pybert_crf
from pybert_crf.annotation.exported import INPUTS, OUTPUTS, SECTION
from pybert_crf.crf.onnx import posterior_model, viterbi_model
from pybert_crf.export.emissions import DYNAMIC, Emissions, check_samples, quiet, reason, trace_sample
from pybert_crf.export.int8 import quantised
from pybert_crf.model import BertCRF
from pybert_crf.taggers.decoding import tempered
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.schemes import continues

if TYPE_CHECKING:
    import onnx

OPSET = 20
_LARGEST = (1 << 31) - 1  # bytes of a protocol buffer
_TOLERANCE = 1e-3  # of emissions, relative to the greatest


def write_onnx(
    tagger: Tagger, path: Path, settings: dict[str, Any], int8: bool, say: Callable[[str], None]
) -> None:
    """Write the graph that `pybert_crf.export` describes, with `settings` in its metadata.

    Raises:
        ImportError: onnx, onnxscript or onnxruntime is not installed.
        ValueError: torch cannot express the encoder in ONNX, or the result computes something else.
    """
    _require()
    model = tagger.model
    graph = _encoder(model)
    difference = _difference(graph, model, _TOLERANCE)
    say(f"checked: emissions differ from torch's by {difference:.1e} of the greatest")
    if int8:
        with quiet():
            graph = quantised(graph, keep=model.linear.weight.shape)
        say(f"int8: emissions differ by {_difference(graph, model, np.inf):.1e} of the greatest")
    joined = _with_crf(graph, tagger)
    entry = joined.metadata_props.add()
    entry.key, entry.value = SECTION, json.dumps(settings, ensure_ascii=False)
    if joined.ByteSize() > _LARGEST:
        raise ValueError(
            f"an ONNX file holds at most {_LARGEST:,} bytes, and this encoder needs {joined.ByteSize():,}: "
            "export it with --int8, or with --format torch"
        )
    path.write_bytes(joined.SerializeToString())


def _require() -> None:
    missing = [each for each in ("onnx", "onnxscript", "onnxruntime") if find_spec(each) is None]
    if missing:
        raise ImportError(
            f"exporting to ONNX needs the package {missing[0]}, which is not installed: "
            "pip install 'pybert-crf[onnx]'"
        )


def _encoder(model: BertCRF) -> onnx.ModelProto:
    """Inputs but the mask of units → pieces, emissions."""
    kind = model.encoder.config.model_type
    names = [name for name in INPUTS if name != "mask"]
    try:
        with quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                Emissions(model).eval(),
                trace_sample(model),
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                optimize=True,  # the default since torch 2.7
                input_names=names,
                output_names=[OUTPUTS[0], "emissions"],
                dynamic_shapes=DYNAMIC,
            )
        exported: onnx.ModelProto = program.model_proto
    except Exception as error:  # whatever the exporter, or the encoder while it is traced, raises
        raise ValueError(
            f"an encoder of type {kind!r} cannot be exported to ONNX: {reason(error)}"
        ) from error
    return exported


def _difference(graph: onnx.ModelProto, model: BertCRF, tolerance: float) -> float:
    """The greatest difference between emissions of onnxruntime and of torch, relative to the greatest one.

    Raises:
        ValueError: it is above `tolerance`, or the runtime cannot run the graph.
    """
    import onnxruntime

    kind = model.encoder.config.model_type
    emissions, worst = Emissions(model).eval(), 0.0
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [each.name for each in session.get_inputs()]
        for given in check_samples(model):
            values = dict(zip(names, (each.numpy() for each in given), strict=True))
            with torch.no_grad():
                expected = emissions(*given)[1].numpy()
            got = session.run(["emissions"], values)[0]
            if got.size:
                worst = max(worst, float(np.abs(got - expected).max() / max(1e-9, np.abs(expected).max())))
    except Exception as error:
        raise ValueError(
            f"an encoder of type {kind!r} cannot be run by onnxruntime: {reason(error)}"
        ) from error
    if not worst <= tolerance:
        raise ValueError(
            f"an encoder of type {kind!r} computes something else in ONNX: emissions differ by "
            f"{worst:.1e} of the greatest"
        )
    return worst


def _with_crf(graph: onnx.ModelProto, tagger: Tagger) -> onnx.ModelProto:
    """The whole graph: the encoder's, Viterbi, and the probabilities of its tags."""
    import onnx.checker

    labels, scheme, crf = tagger.labels, tagger.scheme, tagger.model.crf
    continuing = torch.tensor([[continues(a, b, scheme) for b in labels] for a in labels])
    outputs = [each for each in graph.graph.output if each.name == OUTPUTS[0]]
    scaled, _ = tempered(crf, torch.empty(0), tagger.temperature)
    for number, part in enumerate((viterbi_model(crf), posterior_model(scaled, continuing))):
        # Inputs and outputs keep their names, by which the parts find each other.
        kept = {each.name for each in (*part.graph.input, *part.graph.output)}
        if number == 1 and tagger.temperature != 1.0:
            kept.remove("emissions")
            _divide(graph, "emissions", "crf_1_emissions", tagger.temperature)
        _rename(part.graph, f"crf_{number}_", kept)
        graph.graph.node.extend(part.graph.node)
        graph.graph.initializer.extend(part.graph.initializer)
        outputs += part.graph.output
        given = {each.name for each in graph.graph.input}
        graph.graph.input.extend(each for each in part.graph.input if each.name == "mask" not in given)
    del graph.graph.output[:]
    graph.graph.output.extend(outputs)
    graph.producer_name, graph.producer_version = "pybert-crf", pybert_crf.__version__
    onnx.checker.check_model(graph)
    return graph


def _divide(graph: onnx.ModelProto, name: str, quotient: str, divisor: float) -> None:
    """Add what divides a float32 value of the graph by a number."""
    import onnx.helper
    import onnx.numpy_helper

    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array(divisor, np.float32), "temperature"))
    graph.graph.node.append(onnx.helper.make_node("Div", [name, "temperature"], [quotient]))


def _rename(graph: onnx.GraphProto, prefix: str, kept: Set[str]) -> None:
    """Put `prefix` before all names in a graph, and in the graphs within its nodes, but those in `kept`.

    ``onnx.compose.add_prefix`` leaves out what a graph within a node takes from outside.
    """

    def renamed(name: str) -> str:
        return prefix + name if name and name not in kept else name

    for node in graph.node:
        node.name = renamed(node.name)
        for names in (node.input, node.output):
            names[:] = [renamed(name) for name in names]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, prefix, kept)
    for value in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        value.name = renamed(value.name)
