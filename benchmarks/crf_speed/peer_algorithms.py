"""Other packages' algorithms on chains, which a CRF layer would have to be built around."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import torch
from torch import Tensor

from crf_speed.contenders import Contender
from crf_speed.loading import folder, load_alone
from crf_speed.problem import Problem, Shape, path_scores


class TorchStruct(Contender):
    """Rush's torch-struct: a parallel scan over (batch, time, tags, tags) potentials.

    The score of the tags is gathered from the potentials, faster than torch-struct's own one-hot parts.
    """

    name = package = "torch-struct"
    operations = ("loss_backward", "loss", "decode", "viterbi")

    @classmethod
    def load(cls) -> Any:
        library = importlib.import_module("torch_struct")
        library.LinearChainCRF.arg_constraints = {}  # or torch warns at each use
        return library

    @classmethod
    def excuse(cls, shape: Shape) -> str | None:
        B, T, K = shape
        scan = B * (1 << (T - 2).bit_length()) // 2 * K**3 * 4  # bytes, in float32
        return f"an intermediate of {scan / 2**30:.0f} GiB" if scan > 2**30 else None

    def potentials(self) -> Tensor:
        """(B, T - 1, K, K): the last two axes are the next tag and the one before it."""
        start, transitions, end = self.parameters
        edges = self.emissions[:, 1:, :, None] + transitions.T
        edges[:, 0] += (start + self.emissions[:, 0])[:, None, :]
        edges[torch.arange(edges.shape[0]), self.case.lengths - 2] += end[:, None]
        return edges

    def negative_log_likelihood(self) -> Tensor:
        edges, tags = self.potentials(), self.case.tags
        pairs = tags[:, 1:] * edges.shape[-1] + tags[:, :-1]
        gold = edges.flatten(2).gather(2, pairs[..., None])[..., 0]
        log_z = self.load().LinearChainCRF(edges, lengths=self.case.lengths).partition
        loss: Tensor = log_z.sum() - torch.where(self.case.mask[:, 1:], gold, 0).sum()
        return loss

    def viterbi(self) -> Tensor:
        # The best path is the gradient of the maximum: it needs autograd, but not as far back as the leaves.
        with torch.no_grad():
            edges = self.potentials()
        parts = self.load().LinearChainCRF(edges, lengths=self.case.lengths).argmax.detach()
        first = parts[:, 0].sum(1).argmax(1, keepdim=True)
        return torch.cat([first, parts.sum(3).argmax(2)], dim=1)


class FlashSemiCRF(Contender):
    """flash-semicrf's streaming semi-Markov CRF with segments of one position; float64 inside.

    It has neither start nor end scores and sums over a tag before the first one, so those go into the
    emissions.
    """

    name = package = "flash-semicrf"
    operations = ("loss_backward", "loss", "decode", "viterbi")

    @classmethod
    def load(cls) -> Any:
        return importlib.import_module("flash_semicrf.streaming")

    def cumulative(self, entering: Tensor) -> Tensor:
        """Summed emissions (B, T + 1, K), which its functions take; `entering` (K,) is to be cancelled."""
        start, _, end = self.parameters
        content = self.emissions.to(torch.float64, copy=True)
        content[:, 0] += start - entering
        content[torch.arange(content.shape[0]), self.case.lengths - 1] += end
        return torch.nn.functional.pad(content.cumsum(1), (0, 0, 1, 0))

    def negative_log_likelihood(self) -> Tensor:
        transitions = self.parameters[1].double()
        scores = self.cumulative(transitions.logsumexp(0))
        no_bias = transitions.new_zeros(1, transitions.shape[0])
        log_z = self.load().semi_crf_streaming_forward(
            scores, transitions, no_bias, self.case.lengths, K=1, use_triton=False
        )
        loss: Tensor = log_z.sum() - path_scores(self._leaves(), self.case.tags).sum()
        return loss

    @torch.no_grad()
    def viterbi(self) -> Tensor:
        transitions = self.parameters[1].double()
        scores = self.cumulative(transitions.amax(0))
        no_bias = transitions.new_zeros(1, transitions.shape[0])
        _, _, before, tag = self.load().semi_crf_streaming_viterbi_with_backpointers(
            scores, transitions, no_bias, self.case.lengths, K=1
        )
        tags = [tag]
        for t in range(before.shape[1] - 1, 0, -1):
            tag = torch.where(self.case.mask[:, t], before[:, t].gather(1, tag[:, None])[:, 0], tag)
            tags.append(tag)
        return torch.stack(tags[::-1], dim=1)

    def _leaves(self) -> Problem:
        start, transitions, end = self.parameters
        return self.case._replace(emissions=self.emissions, start=start, transitions=transitions, end=end)


class Torbi(Contender):
    """torbi's compiled Viterbi, loaded alone (its package wants torchaudio); float32, no end scores."""

    name = package = "torbi"
    operations = ("decode", "viterbi")
    double = False

    @classmethod
    @functools.cache
    def load(cls) -> Any:
        home = folder("torbi")
        libraries = sorted(home.glob("_C*.so"))
        if len(libraries) > 1:  # a wheel, with one library for each version of torch
            version = "".join(torch.__version__.split(".")[:2])
            libraries = [path for path in libraries if path.name.startswith(f"_C.pt{version}cpu")]
        if not libraries:
            raise ImportError(
                f"no library for torch {torch.__version__}; build one: pip install --no-deps "
                "--no-build-isolation --no-binary torbi torbi==1.3.3"
            )
        try:
            torch.ops.load_library(str(libraries[0]))
        except OSError as error:
            raise ImportError(f"its library cannot be loaded: {error}") from error
        return load_alone(home / "viterbi.py")

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
