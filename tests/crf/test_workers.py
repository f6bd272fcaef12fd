"""The layer in threads, in the workers of a DataLoader, and in distributed training."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from cases import COMPILED, DEVICE, USABLE, Case, each_backend, layer, problem
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

BIG = problem(24, 64, 9).to(torch.float32)  # enough work for several threads


def results(backend: str) -> list[Tensor]:
    """The loss, its gradients and the best paths' scores of one big batch."""
    crf = layer(BIG, backend)
    emissions = BIG.emissions.clone().requires_grad_()
    loss = -crf(emissions, BIG.tags, BIG.mask)
    gradients = torch.autograd.grad(loss, [emissions, *crf.parameters()])
    return [loss.detach(), *gradients, crf.viterbi(emissions, BIG.mask)[1]]


class Losses(Dataset[Tensor]):
    """A data set whose workers use the layer."""

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        return torch.cat([part.flatten() for part in results(self.backend)])


FORKED = """
import importlib, os, sys, torch
from pybert_crf.crf.problem import Chain
backend = importlib.import_module(f"pybert_crf.crf.backends.{sys.argv[1]}")
torch.set_num_threads(2)
scores = map(torch.randn, ((24,), (24, 24), (24,)))
chain = Chain(torch.randn(64, 64, 24), torch.ones(64, 64, dtype=torch.bool), *scores)
log_z = backend.log_partition(chain)[0].tolist()
child = os.fork()
if child == 0:
    os._exit(0 if backend.log_partition(chain)[0].tolist() == log_z else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("backend", COMPILED)
def test_a_forked_child_after_a_parallel_call(backend: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, backend]
    done = subprocess.run(command, timeout=240, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@each_backend
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking where there are threads
def test_workers_after_a_parallel_call(backend: str, start: str) -> None:
    if start == "fork" and sys.platform == "win32":
        pytest.skip("no fork")
    expected = torch.cat([part.flatten() for part in results(backend)])
    workers = 1 if start == "spawn" else 2
    found = list(
        DataLoader(
            Losses(backend),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=start,
            timeout=240,  # a worker that hangs is an error
        )
    )
    assert len(found) == 2
    for one in found:
        torch.testing.assert_close(one, expected)


@each_backend
def test_calls_from_several_threads_at_once(backend: str) -> None:
    expected = results(backend)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: results(backend), range(8)):
            torch.testing.assert_close(found, expected)


def train_half(rank: int, folder: str, backend: str) -> None:
    """One of two processes: half of the batch each; keeps the parameters' gradients.

    Both may have the same GPU, for gloo adds up on the CPU.
    """
    if sys.platform == "linux":  # else gloo listens on the address of the host's name, which may lead nowhere
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = dist.FileStore(f"{folder}/meeting", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=1))
    case = Case(*(part.to(DEVICE) for part in problem(6, 8, 4)))
    model = DistributedDataParallel(layer(case, backend))
    own = slice(3 * rank, 3 * rank + 3)
    (-model(case.emissions[own], case.tags[own], case.mask[own])).backward()
    torch.save([parameter.grad.cpu() for parameter in model.parameters()], f"{folder}/{rank}.pt")
    dist.barrier()
    os._exit(0)  # torch 2.13 now and then waits for ever in the process group's destructor


def run_two(folder: Path, backend: str) -> None:
    """Run both processes, for at most two minutes."""
    processes = spawn(train_half, args=(str(folder), backend), nprocs=2, join=False)
    until = time.monotonic() + 120
    try:
        while not processes.join(timeout=1):
            assert time.monotonic() < until, "the two processes do not end"
    finally:
        for process in processes.processes:
            process.kill()


@pytest.mark.parametrize("backend", USABLE[:1])
@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_distributed_data_parallel(backend: str, tmp_path: Path) -> None:
    case = problem(6, 8, 4)
    crf = layer(case, backend)
    (-crf(case.emissions, case.tags, case.mask)).backward()
    run_two(tmp_path, backend)
    for rank in range(2):
        for mean, parameter in zip(torch.load(tmp_path / f"{rank}.pt"), crf.parameters(), strict=True):
            assert parameter.grad is not None
            torch.testing.assert_close(2 * mean, parameter.grad.cpu())  # DDP takes the mean over processes
