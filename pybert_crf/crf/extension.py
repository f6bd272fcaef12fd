"""The compiled extension. Importing this module raises ImportError if it has not been built."""

from __future__ import annotations

import importlib
from typing import Any

try:
    native: Any = importlib.import_module("pybert_crf._native")
except ImportError as error:
    raise ImportError(
        f"the compiled extension pybert_crf._native cannot be loaded ({error}); "
        "install the package again where there is a C++17 compiler"
    ) from error
