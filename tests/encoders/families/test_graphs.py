"""Every family compiles as one graph, exports with any batch size and length, and recomputes activations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from encoder_cases import Batch, batch_for, drop, each_family, kept, our_config, our_encoder
from torch.export import Dim
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from pybert_crf.encoders import Encoder, EncoderConfig


def _shallow(family: str, dropout: float) -> EncoderConfig:
    """The fewest layers with all parts of the family, as the time for tracing grows with their number."""
    config = our_config(family)
    layers = 2 if config.rotary.global_every > 1 else config.sharing.num_groups or 1
    fewest = {"sharing.layers_per_group": 1, "num_layers": layers}
    return drop(config.with_fields(fewest), dropout)


@each_family
def test_one_graph(family: str) -> None:
    """torch.compile makes one graph of forward and one of backward (only traced here, which is faster).

    In training mode, which has all that inference has, with so little dropout that it rounds to none.
    """
    torch.compiler.reset()  # its limit of recompilations is lower than the number of families
    encoder = Encoder(_shallow(family, 1e-9))
    batch = batch_for(encoder.config)
    results = []
    for function in (encoder, torch.compile(encoder, fullgraph=True, backend="aot_eager")):
        encoder.zero_grad()
        hidden = function(**batch)[kept(batch)]
        (hidden * torch.linspace(-1.0, 1.0, hidden.shape[-1])).sum().backward()  # squares sum to a constant
        results.append([hidden, *(p.grad.clone() for p in encoder.parameters() if p.grad is not None)])
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-4)


# Of torch 2.6, in T5.
@pytest.mark.filterwarnings(
    "ignore:(Attempted to insert a get_attr Node|Node context_lifted_tensor):UserWarning"
)
@each_family
def test_export_with_any_batch_and_length(family: str) -> None:
    if torch.__version__ < (2, 7) and family in {"deberta", "deberta-v2", "big_bird"}:
        pytest.skip("torch 2.6 exports them for lengths that its guards bound more narrowly than we name")
    encoder = Encoder(_shallow(family, 0.1)).eval()
    batch = batch_for(encoder.config)
    axes = {0: Dim("batch", min=1, max=64), 1: Dim("length", min=2, max=encoder.config.max_length)}
    program = torch.export.export(encoder, (), batch, dynamic_shapes=dict.fromkeys(batch, axes))
    for rows, length in ((4, 23), (3, 29), (1, 2)):
        part = {name: value.repeat(1, 2)[:rows, :length] for name, value in batch.items()}
        with torch.no_grad():
            exported, ours = program.module()(**part), encoder(**part)
        torch.testing.assert_close(exported[kept(part)], ours[kept(part)], rtol=0, atol=1e-5)


def _step(encoder: Encoder, batch: Batch) -> tuple[list[torch.Tensor], int]:
    """The gradients of a training step, and the bytes stored between forward and backward."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(4)
    encoder.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = encoder(**batch)
    for parameter in encoder.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    (hidden * torch.linspace(-1.0, 1.0, hidden.shape[-1])).sum().backward()
    return [p.grad.clone() for p in encoder.parameters() if p.grad is not None], sum(kept.values())


@each_family
def test_activation_checkpointing(family: str) -> None:
    """The same gradients, bit for bit and with dropout, in less memory."""
    encoder = our_encoder(family)
    encoder = Encoder(drop(encoder.config, 0.2))
    batch = batch_for(encoder.config)
    expected, memory = _step(encoder, batch)
    encoder.checkpoint_activations()
    got, less = _step(encoder, batch)
    assert less < memory / 2
    assert len(got) == len(expected) > 0
    assert all(torch.equal(mine, reference) for mine, reference in zip(got, expected, strict=True))
    encoder.checkpoint_activations(False)
    assert _step(encoder, batch)[1] == memory


class _MaskCopies(TorchDispatchMode):
    """Records tensors of `size` elements that are the expanded mask, as bool or as its two values."""

    def __init__(self, mask: torch.Tensor, size: int) -> None:
        super().__init__()
        self.masks = WeakIdKeyDictionary({mask: True})
        self.size = size
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = [leaf in self.masks for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and any(given) and (all(given) or len(leaf.unique()) <= 2):
                self.masks[leaf] = True
                if leaf.untyped_storage().nbytes() >= self.size * leaf.element_size():
                    self.found.append(str(func))
        return out


@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["fused attention", "explicit attention of training"])
@each_family
def test_the_mask_is_not_copied(family: str, dropout: float) -> None:
    """The mask is never expanded to (batch, heads, length, length), forward or backward."""
    encoder = our_encoder(family)
    encoder = Encoder(drop(encoder.config, dropout))
    batch = batch_for(encoder.config)
    with _MaskCopies(batch["attention_mask"], 4 * encoder.config.num_heads * 23 * 23) as copies:
        hidden = encoder(**batch)
        hidden.square().sum().backward()
    assert not copies.found


def test_a_copied_mask_is_found() -> None:
    mask = torch.ones(4, 23, dtype=torch.int64)
    mask[1, 9:] = 0
    with _MaskCopies(mask, 4 * 3 * 23 * 23) as copies:
        wide = mask.bool()[:, None, None, :].expand(4, 3, 23, 23)
        assert not copies.found
        torch.zeros(4, 3, 23, 23).masked_fill(wide, -1e9)
        wide.clone()
    assert copies.found == ["aten.masked_fill.Scalar", "aten.clone.default"]
