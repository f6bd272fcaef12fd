"""Importing the package's names stays about as cheap as importing torch: which modules may not be loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

# torch._dynamo takes as long to import as torch itself.
NEVER = ["torch._dynamo", "numba", "onnx", "transformers", "accelerate", "typer", "rich"]
NEVER += ["pyarrow", "datasets", "spacy", "peft", "optuna"]
CRF_ONLY = ["tokenizers", "safetensors", "huggingface_hub"]


@pytest.mark.parametrize(
    ("program", "heavy"),
    [
        ("import pybert_crf", ["torch", "numpy", *NEVER, *CRF_ONLY]),
        ("from pybert_crf import CRF, backends, tag_constraints; CRF(3); backends()", [*NEVER, *CRF_ONLY]),
        ("from pybert_crf import Tagger, train", [*NEVER, "huggingface_hub"]),
        (
            "import torch; from pybert_crf import CRF; crf, emissions = CRF(3), torch.zeros(4, 2, 3);"
            "crf(emissions, torch.zeros(4, 2, dtype=int)).backward(); crf.decode(emissions)",
            ["torch._dynamo"],
        ),
    ],
)
def test_what_is_not_imported(program: str, heavy: list[str]) -> None:
    code = f"{program}; import sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
