"""Every family and type is exported to ONNX and computes the same there, or is refused with the reason.

Most are `long`: the table of types (`test_types_table.py`) exports a tagger of each, and compares them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from adapter_cases import CASES, write_their
from adapter_cases import their_model as adapted_model
from encoder_cases import FAMILIES, our_config

from pybert_crf.encoders import AnyEncoder, Encoder, open_encoder
from pybert_crf.export.onnx_file import _TOLERANCE, _difference, _encoder
from pybert_crf.model import BertCRF

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")

QUICK = ("bert", "roberta")
SLOW = ("deberta-v2", "big_bird")  # attention and positions of other kinds
TYPES = [name for name in CASES if name not in FAMILIES and name != "longformer"]


def check(encoder: AnyEncoder) -> None:
    """The exported emissions are the encoder's, for windows of one piece and of as many as it reads."""
    model = BertCRF(encoder, ["O", "B-A", "I-A"], "BIO").eval()
    assert _difference(_encoder(model), model, _TOLERANCE) < 1e-5


def _mark(family: str) -> pytest.MarkDecorator | tuple[()]:
    if family in QUICK:
        return ()
    return pytest.mark.slow if family in SLOW else pytest.mark.long


@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=_mark(name)) for name in FAMILIES],
)
def test_families_in_onnx(family: str) -> None:
    if torch.__version__ < (2, 7) and family == "deberta-v2":
        pytest.skip("torch 2.6 exports one of its indices wrongly; exporting it is refused")
    config = our_config(family)
    check(Encoder(config.with_fields({"num_layers": config.sharing.num_groups or 1})))


@pytest.mark.long
@pytest.mark.parametrize("name", TYPES)
def test_types_of_transformers_in_onnx(name: str, tmp_path: Path) -> None:
    write_their(tmp_path, adapted_model(name))
    check(open_encoder(tmp_path))


@pytest.mark.slow
def test_what_onnx_cannot_express_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Longformer chooses its windows by the values of the mask."""
    write_their(tmp_path, adapted_model("longformer"))
    with pytest.raises(ValueError, match="type 'longformer' cannot be exported to ONNX: Guard"):
        check(open_encoder(tmp_path))
