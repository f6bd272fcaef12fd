"""The cost of the CRF on a GPU: our kernels without Python, and the share of a training step of BERT.

    pytest benchmarks/bench_crf.py benchmarks/bench_gpu.py --device cuda --benchmark-json gpu.json
    pytest benchmarks/bench_gpu.py --quick  # tries it out on the CPU

`test_graph` replays a captured CUDA graph of our native backend: the device alone. `test_streams` runs four
batches on one stream or on four. `test_step` is forward, backward and AdamW, in bfloat16 by autocast, of
BERT-base with random weights, with token cross-entropy (a tagger without a CRF), our CRF and pytorch-crf's
on the same emissions; the losses of the CRFs are first proved equal. `test_tagging` is BERT-base and our
CRF from raw text to entities with scores, in float32 and with an encoder in bfloat16.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from bench_crf import TURNS, exam, prove, waited
from crf_speed.contenders import Layer, Native
from crf_speed.peers import PytorchCRF
from crf_speed.problem import GPU_SHAPES, Problem, problem
from torch import Tensor, nn

from pybert_crf import BertCRF, Encoder, Tagger
from pybert_crf.demo.grammar import make_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

TAGS, VOCABULARY = 9, 21128
STEPS = ((16, 128), (32, 256), (64, 512))
QUICK_STEPS = ((2, 16),)
BATCHES, STREAMED = 4, (16, 256, 7)
LABELS = ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER")
LAYERS: tuple[type[Layer], ...] = (Native, PytorchCRF)
WITHOUT = "cross-entropy"

Loss = Callable[[Tensor], Tensor]  # of emissions


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize the training step by shape, turn and loss; losses change fastest."""
    if "loss" in metafunc.fixturenames:
        shapes = QUICK_STEPS if metafunc.config.getoption("--quick") else STEPS
        names = (WITHOUT, *(kind.name for kind in LAYERS))
        metafunc.parametrize(("shape", "turn", "loss"), [*product(shapes, range(TURNS), names)], ids=str)


@pytest.mark.benchmark(max_time=0.5, min_rounds=1, disable_gc=True)
def test_step(
    benchmark: Any, pytestconfig: pytest.Config, shape: tuple[int, int], turn: int, loss: str
) -> None:
    """Time a training step with one loss."""
    device = pytestconfig.getoption("--device")
    size = "tiny" if pytestconfig.getoption("--quick") else "base"
    for kind in LAYERS:
        if kind.name == loss and (why := kind.missing(device)):
            pytest.skip(f"{loss}: {why}")
    benchmark.group = f"training step of BERT-{size}, {device}"
    benchmark.extra_info.update(contender=loss, shape=shape)
    benchmark(waited(steps(size, shape, device)[loss], device))


@pytest.mark.benchmark(max_time=0.1, min_rounds=1, disable_gc=True)
@pytest.mark.parametrize("operation", ["loss_backward", "loss", "viterbi"])
@pytest.mark.parametrize("shape", GPU_SHAPES, ids=str)
def test_graph(
    benchmark: Any, pytestconfig: pytest.Config, shape: tuple[int, int, int], operation: str
) -> None:
    """Time the replay of an operation's CUDA graph; (1, 2048, 9) gives the time of a position."""
    device = pytestconfig.getoption("--device")
    if device == "cpu" or (why := Native.missing(device)):
        pytest.skip("there are no CUDA graphs on the CPU" if device == "cpu" else f"native: {why}")
    prove(Native, shape, device)
    benchmark.group = f"{operation}, replay of a CUDA graph"
    benchmark.extra_info.update(contender=Native.name, shape=shape)
    benchmark(waited(graph_of(getattr(Native(exam(shape, device).case), operation)), device))


@pytest.mark.benchmark(max_time=0.5, min_rounds=1, disable_gc=True)
@pytest.mark.parametrize("streams", [1, BATCHES])
def test_streams(benchmark: Any, pytestconfig: pytest.Config, streams: int) -> None:
    """Time loss and gradients of several batches, one after the other or on streams of their own."""
    device = pytestconfig.getoption("--device")
    if device == "cpu" or (why := Native.missing(device)):
        pytest.skip("there are no streams on the CPU" if device == "cpu" else f"native: {why}")
    prove(Native, STREAMED, device)
    alone, *batches = (Native(exam(STREAMED, device).case) for _ in range(1 + BATCHES))
    alone.loss_backward()
    sides = [torch.cuda.Stream() for _ in range(streams)]

    def run() -> None:
        for number, batch in enumerate(batches):
            with torch.cuda.stream(sides[number % streams]):
                batch.loss_backward()

    torch.cuda.synchronize()
    waited(run, device)()
    for batch in batches:
        assert all(map(torch.equal, batch.gradients(), alone.gradients()))
    benchmark.group = f"loss_backward of {BATCHES} batches"
    benchmark.extra_info.update(contender=f"{streams} streams", shape=STREAMED)
    benchmark(waited(run, device))


@pytest.mark.benchmark(max_time=1.0, min_rounds=1, disable_gc=True)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_tagging(benchmark: Any, pytestconfig: pytest.Config, dtype: str) -> None:
    """Time raw text to entities with scores, once its probabilities are proved to be those of the CPU."""
    device, quick = pytestconfig.getoption("--device"), pytestconfig.getoption("--quick")
    size, texts = ("tiny", TEXTS[:16]) if quick else ("base", TEXTS)
    tagger = tagger_of(size).to("cpu")
    tagger.model.float()
    expected = [tagger.marginals(text).probabilities for text in texts[:4]]
    tagger.to(device).model.encoder.to(getattr(torch, dtype))
    for text, right in zip(texts, expected, strict=False):
        found = tagger.marginals(text).probabilities
        assert abs(found - right).max() <= (1e-3 if dtype == "float32" else 0.1), "probabilities differ"
    benchmark.group = f"tagging by BERT-{size}, {device}"
    benchmark.extra_info.update(contender=dtype, shape=(len(texts), sum(map(len, texts))))
    benchmark(waited(lambda: list(tagger.tag(texts)), device))


TEXTS = ["".join(units) for units, _ in make_corpus(sizes=(1024, 0, 0)).train]


@functools.lru_cache(maxsize=1)
def tagger_of(size: str) -> Tagger:
    """A tagger with random weights."""
    torch.manual_seed(0)
    tokenizer = UnitTokenizer.build(TEXTS, "char", min_count=1)
    model = BertCRF(Encoder.from_size(size, vocab_size=tokenizer.vocab_size), LABELS, "BIO")
    nn.init.normal_(model.linear.weight, std=0.1)
    return Tagger(model, tokenizer, "char")


def graph_of(call: Callable[[], Any]) -> Callable[[], None]:
    """Capture the work of a call on the device, to be replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # compiles and allocates
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


class Emissions(nn.Module):
    """Encoder of random weights, dropout, linear."""

    def __init__(self, size: str) -> None:
        super().__init__()
        self.encoder = Encoder.from_size(size, vocab_size=VOCABULARY)
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(self.encoder.config.hidden_size, TAGS)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        emissions: Tensor = self.linear(self.dropout(self.encoder(ids, mask)))
        return emissions


@functools.lru_cache(maxsize=1)
def steps(size: str, shape: tuple[int, int], device: str) -> dict[str, Callable[[], None]]:
    """A training step for each loss, of one model."""
    torch.manual_seed(0)
    case = problem((*shape, TAGS)).on(torch.device(device))
    model = Emissions(size).to(device)
    kinds = [kind for kind in LAYERS if kind.missing(device) is None]
    layers = {kind.name: kind(case).layer for kind in kinds}
    losses = {WITHOUT: _cross_entropy(case), **{name: _negative(crf, case) for name, crf in layers.items()}}
    prove_losses({name: loss for name, loss in losses.items() if name != WITHOUT}, case.emissions)
    parameters = [*model.parameters(), *(each for crf in layers.values() for each in crf.parameters())]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=device != "cpu")
    ids = torch.randint(1, VOCABULARY, shape, generator=torch.Generator().manual_seed(1)).to(device)

    def step(loss: Loss) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            value = loss(model(ids, case.mask))
        value.backward()
        optimizer.step()

    return {name: functools.partial(step, loss) for name, loss in losses.items()}


@torch.no_grad()
def prove_losses(losses: dict[str, Loss], emissions: Tensor) -> None:
    """AssertionError unless all have the same value."""
    found = {name: loss(emissions).item() for name, loss in losses.items()}
    first = next(iter(found.values()), 0.0)
    assert all(abs(value - first) <= 1e-4 * abs(first) for value in found.values()), f"losses differ: {found}"


def _cross_entropy(case: Problem) -> Loss:
    labels = case.tags.masked_fill(~case.mask, -100).flatten()
    return lambda emissions: nn.functional.cross_entropy(emissions.flatten(0, 1), labels)


def _negative(crf: Any, case: Problem) -> Loss:
    return lambda emissions: -crf(emissions, case.tags, case.mask, reduction="mean")
