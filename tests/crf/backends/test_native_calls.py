"""Calls of the compiled kernels: strides, threads, forked children, invalid arguments."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch
from native_chains import CastableChain, native, random_chain, run
from torch import Tensor

from pybert_crf.crf import CRF

OPS = torch.ops.pybert_crf


@pytest.fixture
def threads() -> Iterator[None]:
    """Restores the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_any_strides() -> None:
    chain = random_chain(5, 7, 11).to(torch.float32)
    ones = torch.ones(5)
    odd = CastableChain(
        chain.emissions.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        chain.mask.t().contiguous().t(),
        torch.stack([chain.start, chain.end], 1)[:, 0],
        chain.transitions.t().contiguous().t(),
        torch.stack([chain.start, chain.end], 1)[:, 1],
    )
    assert not any(tensor.is_contiguous() for tensor in odd)
    log_z, gradients = run(chain, ones)
    log_z_odd, gradients_odd = run(odd, torch.ones(1).expand(5))
    assert torch.equal(log_z, log_z_odd)
    assert all(map(torch.equal, gradients, gradients_odd))
    assert all(map(torch.equal, native.viterbi(chain), native.viterbi(odd)))


def test_nothing_in_the_batch() -> None:
    chain = random_chain(0, 4, 3)
    log_z, gradients = run(chain, torch.ones(0, dtype=torch.float64))
    assert log_z.shape == (0,)
    assert not any(gradient.any() for gradient in gradients)
    tags, scores = native.viterbi(chain)
    assert tags.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype) -> None:
    chain = random_chain(97, 40, 17).to(dtype)
    grad = torch.randn(97, dtype=dtype)
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        log_z, gradients = run(chain, grad)
        results.append((log_z, *gradients, *native.viterbi(chain)))
    for more in results[1:]:
        assert all(map(torch.equal, results[0], more))


def test_other_threads_run_during_a_call() -> None:
    """Threads are never made to give up the GIL here: another one runs only if the call releases it.

    On a busy machine this thread may come too late to see the call under way, so it gets many chances.
    """
    chain = random_chain(48, 512, 128).to(torch.float32)

    def was_under_way() -> bool:
        begun, ended = threading.Event(), threading.Event()

        def call() -> None:
            begun.set()
            native.viterbi(chain)
            ended.set()

        thread = threading.Thread(target=call)
        thread.start()
        begun.wait()
        seen = not ended.is_set()
        thread.join()
        return seen

    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        assert any(was_under_way() for _ in range(100))
    finally:
        sys.setswitchinterval(before)


PEAK = """
import torch
from pybert_crf import CRF

def resident(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field + ":"))

def train(time):
    emissions = torch.randn(32, time, 128, requires_grad=True)
    tags = torch.randint(128, (32, time))
    with open("/proc/self/clear_refs", "w") as marks:
        marks.write("5")
    before = resident("VmRSS")
    (-crf(emissions, tags)).backward()
    return (resident("VmHWM") - before) / emissions.nbytes

crf = CRF(128, batch_first=True, backend="native")
train(2)
print(train(512))
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no mark of peak memory here")
def test_peak_memory_of_loss_and_backward() -> None:
    """Without the emissions themselves; in a new process, because the allocator keeps freed memory."""
    command = [sys.executable, "-W", "ignore", "-c", PEAK]
    done = subprocess.run(command, timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 3  # the gradient alone is 1


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("emissions", torch.zeros(2, 3), "emissions must be"),
        ("emissions", torch.zeros(2, 3, 0), "tags > 0"),
        ("emissions", torch.zeros(2, 3, 4, dtype=torch.float16), "float32 or float64"),
        ("mask", torch.ones(2, 4, dtype=torch.bool), r"mask must be \(2, 3\)"),
        ("mask", torch.ones(2, 3), "mask must be .* torch.bool"),
        ("start", torch.zeros(5), r"start must be \(4,\)"),
        ("transitions", torch.zeros(4, 5), r"transitions must be \(4, 4\)"),
        ("end", torch.zeros(4, dtype=torch.float64), "end must be .* torch.float32"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, wrong: Tensor, message: str) -> None:
    chain = random_chain(2, 3, 4).to(torch.float32)._replace(**{name: wrong})
    for op in (OPS.log_partition, OPS.viterbi):
        with pytest.raises(ValueError, match=message):
            op(*chain, "native")


def test_backward_refuses_what_forward_did_not_make() -> None:
    chain = random_chain(2, 3, 4).to(torch.float32)
    log_z, messages = native.log_partition(chain)
    with pytest.raises(ValueError, match="grad must be"):
        OPS.gradient(torch.ones(3), None, *chain, messages, log_z, "native")
    with pytest.raises(ValueError, match="messages must be"):
        OPS.gradient(torch.ones(2), None, *chain, messages[:, :2], log_z, "native")
    with pytest.raises(ValueError, match="tags must be"):
        OPS.gradient(torch.ones(2), torch.zeros(2, 4, dtype=torch.int64), *chain, messages, log_z, "native")
    uniforms = torch.zeros(1, 2, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"uniforms must be \(1, 2, 3\) of torch.float64"):
        OPS.sample(uniforms, *chain, "native")


def test_backward_refuses_a_parameter_that_was_exchanged_for_a_smaller_one() -> None:
    crf = CRF(4, batch_first=True, backend="native")
    log_z = crf.log_partition(torch.randn(2, 3, 4))
    crf.transitions.data = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=r"transitions must be \(4, 4\)"):
        log_z.sum().backward()


@pytest.mark.parametrize("name", ["start_transitions", "transitions", "end_transitions"])
def test_the_layer_refuses_parameters_that_do_not_fit(name: str) -> None:
    crf = CRF(4, batch_first=True, backend="native")
    setattr(crf, name, torch.nn.Parameter(torch.zeros(3)))
    with pytest.raises(ValueError, match=rf"{name.split('_')[0]} must be \(4,"):
        crf.decode(torch.zeros(2, 3, 4))


def test_without_the_extension_the_import_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybert_crf._native", None)
    monkeypatch.delitem(sys.modules, "pybert_crf.crf.extension")
    path = native.__file__
    assert path is not None
    with pytest.raises(ImportError, match=r"compiled extension pybert_crf\._native cannot be loaded"):
        runpy.run_path(path)
