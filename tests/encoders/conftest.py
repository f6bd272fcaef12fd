"""What transformers says a BERT is: the reference of the encoder's tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of an import that is not ours
    import transformers

# Sizes are all different, and odd or prime, so that no exchanged axis goes unseen.
SIZES = {
    "vocab_size": 61,
    "hidden_size": 33,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 47,
    "max_position_embeddings": 29,
    "type_vocab_size": 5,
    "pad_token_id": 7,
}


@pytest.fixture
def their_bert() -> Callable[..., Any]:
    """A function that makes a random tiny model of transformers, given its class and unusual settings."""

    def make(model_class: str = "BertModel", **settings: Any) -> Any:
        torch.manual_seed(11)
        arguments = {"add_pooling_layer": False} if model_class == "BertModel" else {}
        config = transformers.BertConfig(**{**SIZES, **settings})
        model = getattr(transformers, model_class)(config, **arguments).eval()
        with torch.no_grad():
            # Biases and norms start at 0 and 1: one in the place of another would look right.
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
        return model

    return make


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Four sequences of up to 23 pieces: right padding, left padding, a gap; and segments."""
    generator = torch.Generator().manual_seed(5)
    input_ids = torch.randint(0, 61, (4, 23), generator=generator)
    attention_mask = torch.ones(4, 23, dtype=torch.int64)
    attention_mask[1, 9:] = 0
    attention_mask[2, :6] = 0
    attention_mask[3, 4:8] = 0
    token_type_ids = torch.randint(0, 5, (4, 23), generator=generator)
    return {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
