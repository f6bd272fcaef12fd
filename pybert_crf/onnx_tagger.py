"""A tagger exported to ONNX, run by onnxruntime: entities without torch.

::

    from pybert_crf.onnx_tagger import OnnxTagger

    tagger = OnnxTagger("exported")  # what `pybert-crf export my-tagger exported` wrote
    for entity in tagger("林小雨在青河市工作。"):
        print(entity.start, entity.end, entity.label, entity.text, entity.score)

Needs the package onnxruntime: ``pip install 'pybert-crf[onnx]'``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pybert_crf.annotation.exported import SECTION, ExportedTagger
from pybert_crf.reading import ConfigError, quoted


class OnnxTagger(ExportedTagger):
    """An exported tagger, with the methods of `pybert_crf.Tagger` and its answers.

    Args:
        path: the ONNX file, or its directory if it is called ``model.onnx``.
        providers: of onnxruntime, such as ``["CUDAExecutionProvider"]``.
        threads: that compute one batch; 0 for onnxruntime's choice.

    Raises:
        FileNotFoundError: the model or a file of the tokenizer is missing.
        ImportError: the package onnxruntime is not installed.
        ValueError: onnxruntime has no such provider here.
        ConfigError: the file is no exported tagger, or the tokenizer beside it is another one.
    """

    def __init__(
        self, path: str | Path, *, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int = 0
    ) -> None:
        path = Path(path) / "model.onnx" if Path(path).is_dir() else Path(path)
        self._session = _open(path, providers, threads)
        super().__init__(path, self._session.get_modelmeta().custom_metadata_map.get(SECTION))

    def _compute(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        computed: list[NDArray[Any]] = self._session.run(list(outputs), dict(inputs))
        return computed


def _open(path: Path, providers: Sequence[str], threads: int) -> Any:
    """A session of onnxruntime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"reading an ONNX file needs the package onnxruntime ({error}): pip install 'pybert-crf[onnx]'"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if missing := set(providers) - set(onnxruntime.get_available_providers()):
        usable = ", ".join(onnxruntime.get_available_providers())
        raise ValueError(f"onnxruntime has no {', '.join(sorted(missing))} here, but {usable}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # of classes that onnxruntime does not export
        reason = quoted(str(error).partition("\n")[0])
        raise ConfigError(f"{path}: onnxruntime cannot open it: {reason}") from error
