"""Tiny models of transformers of types that have no table here, and small tokenizers as they have them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # raised by this import
    import transformers

VOCAB, LENGTH, WINDOW = 400, 48, 40

_COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": LENGTH,
}
_GROUPED = {**_COMMON, "num_key_value_heads": 2, "head_dim": 8}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": LENGTH}
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 4}
_BART = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4}
_BART |= {"decoder_attention_heads": 4, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40}
_BART |= {"max_position_embeddings": LENGTH}
_ROBERTA = {**_COMMON, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}

DECODERS: dict[str, dict[str, Any]] = {
    "openai-gpt": _GPT,
    "ctrl": {**_GPT, "dff": 40},
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "max_position_embeddings": LENGTH,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 24,
    },
    "gptj": {**_GPT, "rotary_dim": 4},
    "opt": {**_COMMON, "ffn_dim": 40, "word_embed_proj_dim": 32},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "qwen2": {**_COMMON, "num_key_value_heads": 2},
    "qwen3": _GROUPED,
    "llama": _GROUPED,
    "mistral": {**_GROUPED, "sliding_window": WINDOW},
    "gemma3_text": {
        **_GROUPED,
        "sliding_window": WINDOW,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}
ENCODERS: dict[str, dict[str, Any]] = {
    "eurobert": {**_GROUPED, "mask_token_id": 4},
    "nomic_bert": _COMMON,
    "camembert": _ROBERTA,
    "rembert": {**_COMMON, "input_embedding_size": 24, "output_embedding_size": 24},
    "roformer": _COMMON,
    "longformer": {**_ROBERTA, "attention_window": 40},
}
CAUSAL: dict[str, dict[str, Any]] = {
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4},
}
"""Decoders that cannot attend both ways."""
ENCODER_DECODERS: dict[str, dict[str, Any]] = {
    "bart": _BART,
    "mbart": _BART,
    "m2m_100": _BART,
}
CASES = {**DECODERS, **ENCODERS, **ENCODER_DECODERS}
OURS: dict[str, dict[str, Any]] = {"gpt2": _GPT, "t5": _T5, "mt5": _T5, "umt5": _T5}
"""Types with a table here, whose tokenizers lack the special pieces of BERT's."""
ALL = {**CASES, **CAUSAL, **OURS}
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
WITH_DECODER = {*ENCODER_DECODERS, "t5", "mt5", "umt5"}
NEEDS_IDS = {"eurobert", "rembert", *WITH_DECODER, "ctrl", "openai-gpt"}

each_type = pytest.mark.parametrize("name", CASES)


def their_config(name: str, **changes: Any) -> Any:
    """The configuration of the tiny model of a type."""
    settings: dict[str, Any] = {"vocab_size": VOCAB, "bos_token_id": 1, "eos_token_id": 2}
    settings |= IDS if name in NEEDS_IDS else {}
    if name in WITH_DECODER:
        settings |= {"decoder_start_token_id": 2, "forced_eos_token_id": None}
    return transformers.AutoConfig.for_model(name, **(settings | ALL[name] | changes))


def their_model(name: str, seed: int = 0, **changes: Any) -> Any:
    """The tiny model of a type, with random weights, in evaluation mode."""
    config = their_config(name, **changes)
    torch.manual_seed(seed)
    return transformers.AutoModel.from_config(config).eval()


def their_masked_lm(name: str) -> Any:
    """The tiny model of a type with its head for masked pieces, with random weights, in evaluation mode."""
    torch.manual_seed(0)
    return transformers.AutoModelForMaskedLM.from_config(their_config(name)).eval()


def their_states(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The states that transformers itself computes; of an encoder-decoder, its encoder's."""
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.no_grad():
        states: torch.Tensor = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    return states


def write_their(directory: Path, model: Any) -> None:
    """What ``save_pretrained`` of transformers writes, without its progress bars."""
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(directory)


def write_tokenizer(directory: Path, kind: str, texts: Sequence[str]) -> None:
    """A ``tokenizer.json`` as a kind of model has it.

    ``bytes``: byte-level BPE without any special piece but the one that ends a text, as GPT-2's, Qwen's.
    ``first``: byte-level BPE with one piece before a text, as Llama's.
    ``last``: sentencepiece with one piece after a text, as T5's.
    ``both``: sentencepiece with a piece on either side, as BART's.
    """
    special = ["<pad>", "<s>", "</s>", "<unk>"] if kind in ("last", "both") else ["<|begin|>", "<|end|>"]
    special += ["<mask>"] if kind == "both" else []
    if kind in ("last", "both"):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=VOCAB, special_tokens=special, unk_token="<unk>", show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=VOCAB,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    tokenizer.train_from_iterator(texts, trainer)
    templates = {"first": "<|begin|> $A", "last": "$A </s>", "both": "<s> $A </s>"}
    if kind in templates:
        ids = [(piece, tokenizer.token_to_id(piece)) for piece in special]
        tokenizer.post_processor = processors.TemplateProcessing(single=templates[kind], special_tokens=ids)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    stated = {"unk_token": "<unk>", "pad_token": "<pad>"} if kind == "last" else {}
    text = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **stated})
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")


def kind_of(name: str) -> str:
    """The kind of tokenizer that goes with a type."""
    if name in ("llama", "mistral", "gemma3_text"):
        return "first"
    if name in DECODERS or name == "gpt2":
        return "bytes"
    return "last" if name in ("t5", "mt5", "umt5") else "both"
