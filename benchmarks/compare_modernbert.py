"""ModernBERT in its base size, of ours and of transformers, with full rows and with rows of several lengths.

    python benchmarks/compare_modernbert.py

22 layers, 768 wide, 8 rows of up to 512 pieces, float32, one thread; transformers attends as it does by
default. Both have the same random weights, and their states are first proved equal. A forward without
gradients, and a training step (forward and backward), take turns; the least processor times are compared.
Takes some minutes.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from pybert_crf.encoders import Encoder, config_from_json

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of an import that is not ours
    from transformers import ModernBertConfig, ModernBertModel

ROWS, LENGTH, VOCAB = 8, 512, 8000
TURNS = 3


def seconds(call: Callable[[], object]) -> float:
    """The processor time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def compare(calls: dict[str, Callable[[], object]]) -> str:
    """How many times as long transformers takes as we, in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            times[name].append(seconds(call))
    ours, theirs = (min(times[name]) for name in ("ours", "transformers"))
    return f"transformers takes {theirs / ours:.2f} times as long ({ours:.2f} s and {theirs:.2f} s)"


def main() -> None:
    """Print both ratios for each kind of rows."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = ModernBertConfig(vocab_size=VOCAB, pad_token_id=0)
    theirs = ModernBertModel(config)
    ours = Encoder.from_checkpoint(config_from_json(config.to_dict()), theirs.state_dict())
    weight, ids = torch.randn(config.hidden_size), torch.randint(5, VOCAB, (ROWS, LENGTH))
    kinds = {
        "full rows": torch.full((ROWS,), LENGTH),
        f"rows of {LENGTH // 2} to {LENGTH} pieces": torch.linspace(LENGTH // 2, LENGTH, ROWS).long(),
    }
    for kind, lengths in kinds.items():
        mask = torch.arange(LENGTH) < lengths[:, None]

        def states(model: object, mask: Tensor = mask) -> Tensor:
            if model is ours:
                return ours(ids, mask)[mask]
            found: Tensor = theirs(ids, attention_mask=mask.long()).last_hidden_state
            return found[mask]

        models = {"ours": ours.eval(), "transformers": theirs.eval()}
        with torch.inference_mode():
            difference = float((states(ours) - states(theirs)).abs().max())
            assert difference < 1e-4, difference
            told = compare({n: lambda m=m: states(m) for n, m in models.items()})  # type: ignore[misc]
        print(f"{kind}, forward: {told}; states differ by {difference:.0e}", flush=True)
        ours.train()
        theirs.train()

        def step(model: torch.nn.Module) -> None:
            (states(model) @ weight).mean().backward()
            model.zero_grad(set_to_none=True)

        told = compare({n: lambda m=m: step(m) for n, m in models.items()})  # type: ignore[misc]
        print(f"{kind}, training step: {told}", flush=True)


if __name__ == "__main__":
    main()
