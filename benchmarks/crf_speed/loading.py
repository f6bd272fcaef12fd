"""Single files of installed packages, without what importing the package would bring."""

from __future__ import annotations

import importlib.util
import types
from pathlib import Path


def folder(package: str) -> Path:
    """Where a package lies, found without importing it; ImportError if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"No module named {package!r}")
    return Path(spec.submodule_search_locations[0])


def load_alone(path: Path) -> types.ModuleType:
    """A module from its file, without its package."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}_alone", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no Python file at {path.name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
