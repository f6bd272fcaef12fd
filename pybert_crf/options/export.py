"""The options of exporting a tagger."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import documented, option


@documented
@dataclass(frozen=True)
class ExportOptions(Options):
    """The options of ``pybert-crf export``."""

    model: str = option(
        MISSING,
        "A saved tagger: directory or hub name.",
        "保存的标注器：目录或 hub 名称。",
        kw_only=False,
        argument=True,
        elsewhere="model-name-or-path model-path model-name model-dir checkpoint",
    )
    out: str = option(
        MISSING,
        "File to write (.onnx, .pt2), or a directory for model.onnx or model.pt2, with the tokenizer's.",
        "要写入的文件（.onnx、.pt2），或存放 model.onnx、model.pt2 的目录；分词器的文件写在旁边。",
        kw_only=False,
        argument=True,
        elsewhere="output output-dir output-path output-file save-dir",
    )
    format: str = option(
        "onnx",
        "onnx, for onnxruntime without torch; torch, an archive of torch.export.",
        "onnx 供 onnxruntime 使用，不需要 torch；torch 为 torch.export 的归档文件。",
        choices=("onnx", "torch"),
        elsewhere="to framework exporter",
    )
    int8: bool = option(
        False,
        "Of ONNX: 8-bit integers in the encoder's linear layers: faster, smaller, not quite the same.",
        "仅限 ONNX：编码器的线性层用 8 位整数计算，更快更小，结果略有出入。",
        elsewhere="quantize quantization quantized",
    )
    overwrite: bool = option(
        False,
        "Replace files that are there.",
        "替换已有的文件。",
        elsewhere="overwrite-output-dir force",
    )
