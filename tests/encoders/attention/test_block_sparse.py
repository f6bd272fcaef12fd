"""Block-sparse attention: the random blocks of training, and sequences of varying length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from encoder_cases import VOCAB, as_ours, their_config, their_model
from parity import state_error
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention

from pybert_crf.encoders.attention.block_sparse import random_blocks


@pytest.mark.parametrize("layer", [0, 5])
@pytest.mark.parametrize(
    ("length", "block", "num"),
    [(24, 2, 1), (54, 2, 3), (18, 1, 2), (1024, 64, 3), (1024, 16, 2), (3072, 64, 3)],
)
def test_random_blocks(layer: int, length: int, block: int, num: int) -> None:
    """The random blocks of each layer and head in training, for lengths with a plan and for others."""
    settings = {"block_size": block, "num_random_blocks": num, "max_position_embeddings": 4096}
    theirs = BigBirdBlockSparseAttention(their_config("big_bird", **settings), seed=layer).train()
    heads = theirs.num_attention_heads
    np.random.seed(layer)
    if length in (1024, 3072):
        shape = (4096, 4096, block, block, num)
        drawn = [theirs._bigbird_block_rand_mask(*shape, last_idx=1024) for _ in range(heads)]
        expected = np.stack(drawn)[:, : length // block - 2]
    else:
        plan = theirs._get_rand_attn_plan(length, block, num)
        expected = np.stack(
            theirs._bigbird_block_rand_mask_with_head(length, length, block, block, heads, *plan)
        )
    assert np.array_equal(random_blocks(layer, heads, length, block, num, 4096).numpy(), expected)


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    random_blocks(0, 2, 40, 2, 1, 64)
    assert np.random.rand() == expected


@pytest.mark.parametrize("training", [False, True])
def test_a_thousand_pieces(training: bool) -> None:
    """Long sequences: 1024 pieces, for which there is a plan, and 700, which is no multiple of a block."""
    settings = {"block_size": 16, "num_random_blocks": 2, "max_position_embeddings": 1024}
    nothing = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    theirs = their_model("big_bird", **settings, **nothing).train(training)
    ours = as_ours(theirs).train(training)
    for length in (1024, 700):
        mask = torch.ones(2, length, dtype=torch.int64)
        mask[1, length // 3 :] = 0
        input_ids = torch.randint(8, VOCAB, (2, length), generator=torch.Generator().manual_seed(length))
        assert state_error(ours, theirs, {"input_ids": input_ids, "attention_mask": mask}) < 1e-5


def test_short_after_long_after_short() -> None:
    """Each batch is attended by its own length (transformers remains dense after a short batch)."""
    ours = as_ours(their_model("big_bird"))
    input_ids = torch.randint(8, VOCAB, (2, 27), generator=torch.Generator().manual_seed(2))
    long = ours(input_ids)
    ours(input_ids[:, :5])
    assert torch.equal(ours(input_ids), long)
    assert state_error(ours, their_model("big_bird"), {"input_ids": input_ids}) < 1e-5
