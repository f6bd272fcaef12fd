"""The CRFs of other packages, each in the fastest form that its own API allows.

None is required: a package that is not installed is left out, and named with the reason.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from crf_speed.contenders import Contender, Layer
from crf_speed.problem import Problem


class PytorchCRF(Layer):
    """kmkurn's pytorch-crf, the base of all ratios. It decodes to lists only."""

    name = "pytorch-crf"

    @classmethod
    def load(cls) -> Any:
        return importlib.import_module("torchcrf")

    def make(self, num_tags: int) -> Any:
        return self.load().CRF(num_tags, batch_first=True)


class Bert4torch(Layer):
    """The CRF layer of bert4torch, loaded alone; its decode makes a tensor."""

    name = "bert4torch"
    operations = ("loss_backward", "loss", "decode", "viterbi")
    decode = Contender.decode  # type: ignore[assignment]

    @classmethod
    @functools.cache
    def load(cls) -> Any:
        """Import the layer's file without its package, which would import a trainer and more.

        Of the package the file uses one function, a `torch.div` for every version of torch.
        """
        snippets = types.ModuleType("bert4torch.snippets")
        snippets.torch_div = torch.div  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {snippets.__name__: snippets}):
            return _load_alone(_folder("bert4torch") / "layers" / "crf.py")

    def make(self, num_tags: int) -> Any:
        return self.load().CRF(num_tags)

    def negative_log_likelihood(self) -> Tensor:
        loss: Tensor = self.layer(self.emissions, self.case.mask, self.case.tags, reduction="sum")
        return loss

    @torch.no_grad()
    def viterbi(self) -> Tensor:
        tags: Tensor = self.layer.decode(self.emissions, mask=self.case.mask)
        return tags


class Torbi(Contender):
    """torbi's compiled Viterbi, loaded alone (its package imports torchaudio); float32, no end scores."""

    name = "torbi"
    operations = ("decode", "viterbi")
    double = False

    @classmethod
    @functools.cache
    def load(cls) -> Any:
        home = _folder("torbi")
        libraries = sorted(home.glob("_C*.so"))
        if len(libraries) > 1:  # a wheel, with one library for each version of torch
            version = "".join(torch.__version__.split(".")[:2])
            libraries = [path for path in libraries if path.name.startswith(f"_C.pt{version}cpu")]
        if not libraries:
            raise ImportError(f"no library for torch {torch.__version__}; build one from its source")
        try:
            torch.ops.load_library(str(libraries[0]))
        except OSError as error:
            raise ImportError(f"its library cannot be loaded: {error}") from error
        return _load_alone(home / "viterbi.py")

    def __init__(self, case: Problem) -> None:
        super().__init__(case)
        self.into = case.transitions.T.contiguous()
        self.frames = case.lengths.to(torch.int32)
        self.ends = (torch.arange(case.shape[0]), case.lengths - 1)

    def viterbi(self) -> Tensor:
        observation = self.case.emissions.clone()
        observation[self.ends] += self.case.end
        tags: Tensor = self.load().decode(
            observation, self.frames, self.into, self.case.start, num_threads=torch.get_num_threads()
        )
        return tags


PEERS: tuple[type[Contender], ...] = (PytorchCRF, Bert4torch, Torbi)


def _folder(package: str) -> Path:
    """The directory of a package, without importing it; ImportError if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"No module named {package!r}")
    return Path(spec.submodule_search_locations[0])


def _load_alone(path: Path) -> types.ModuleType:
    """Import a module from its file, without its package."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}_alone", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no Python file at {path.name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
