"""Other packages' CRF layers: modules like ours, with the same parameters under these or other names."""

from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from crf_speed.contenders import Layer
from crf_speed.loading import folder, load_alone


class PytorchCRF(Layer):
    """kmkurn's pytorch-crf, what everything is compared with. It decodes to lists only."""

    name = package = "pytorch-crf"

    @classmethod
    def load(cls) -> Any:
        return importlib.import_module("torchcrf")

    def make(self, num_tags: int) -> Any:
        return self.load().CRF(num_tags, batch_first=True)

    def negative_log_likelihood(self) -> Tensor:
        likelihood: Tensor = self.layer(self.emissions, self.case.tags, mask=self.case.mask)
        return -likelihood

    @torch.no_grad()
    def decode(self) -> list[list[int]]:
        paths: list[list[int]] = self.layer.decode(self.emissions, mask=self.case.mask)
        return paths


class TorchCRF(Layer):
    """s14t284's TorchCRF: like pytorch-crf, lists only."""

    name = package = "TorchCRF"
    parameter_names = ("start_trans", "trans_matrix", "end_trans")

    @classmethod
    def load(cls) -> Any:
        return importlib.import_module("TorchCRF")

    def make(self, num_tags: int) -> Any:
        return self.load().CRF(num_tags, use_gpu=False)

    def negative_log_likelihood(self) -> Tensor:
        likelihoods: Tensor = self.layer(self.emissions, self.case.tags, self.case.mask)
        return -likelihoods.sum()

    @torch.no_grad()
    def decode(self) -> list[list[int]]:
        paths: list[list[int]] = self.layer.viterbi_decode(self.emissions, self.case.mask)
        return paths


class Bert4torch(Layer):
    """The CRF layer of bert4torch, loaded alone; its decode makes a tensor."""

    name = package = "bert4torch"
    operations = ("loss_backward", "loss", "decode", "viterbi")

    @classmethod
    @functools.cache
    def load(cls) -> Any:
        """The layer's file, without its package, which would import a trainer and more.

        Of the package the file uses one function, a `torch.div` for every version of torch.
        """
        snippets = types.ModuleType("bert4torch.snippets")
        snippets.torch_div = torch.div  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {snippets.__name__: snippets}):
            return load_alone(folder("bert4torch") / "layers" / "crf.py")

    def make(self, num_tags: int) -> Any:
        return self.load().CRF(num_tags)

    def negative_log_likelihood(self) -> Tensor:
        loss: Tensor = self.layer(self.emissions, self.case.mask, self.case.tags, reduction="sum")
        return loss

    @torch.no_grad()
    def viterbi(self) -> Tensor:
        tags: Tensor = self.layer.decode(self.emissions, mask=self.case.mask)
        return tags
