"""Encoders of transformers behind our interface: equal states, both ways, saved and loaded, and refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_cases import (
    CASES,
    CAUSAL,
    DECODERS,
    ENCODER_DECODERS,
    ENCODERS,
    LENGTH,
    VOCAB,
    each_type,
    their_model,
    their_states,
    write_their,
)
from safetensors.torch import load_file, save_file

from pybert_crf.encoders import AdaptedEncoder, CheckpointError, ConfigError, Encoder, open_encoder

IDS = torch.randint(5, VOCAB, (2, 20), generator=torch.Generator().manual_seed(1))
MASK = torch.arange(20) < torch.tensor([[20], [13]])

MAX_LENGTHS = dict.fromkeys(CASES, LENGTH) | {"bloom": 512}
MAX_LENGTHS |= {"camembert": LENGTH - 2, "longformer": LENGTH - 2}


def opened(directory: Path, **options: Any) -> AdaptedEncoder:
    encoder = open_encoder(directory, **options)
    assert isinstance(encoder, AdaptedEncoder)
    assert encoder.training
    return encoder.eval()


@torch.no_grad()
def test_a_rope_of_large_base(tmp_path: Path) -> None:
    rope = {"rope_type": "default", "rope_theta": 10**7}
    write_their(tmp_path, their_model("qwen3", rope_parameters=rope))
    assert opened(tmp_path).values["rope_parameters"]["rope_theta"] == 10**7


@each_type
@torch.no_grad()
def test_states_and_directions(name: str, tmp_path: Path) -> None:
    theirs = their_model(name)
    write_their(tmp_path / "theirs", theirs)
    expected = their_states(theirs, IDS, MASK)[MASK]

    as_trained = opened(tmp_path / "theirs", bidirectional=False)
    assert torch.equal(as_trained(IDS, MASK)[MASK], expected)
    assert as_trained.config.bidirectional is (name not in DECODERS)

    encoder = opened(tmp_path / "theirs")
    states = encoder(IDS, MASK)
    assert encoder.config.bidirectional
    assert torch.equal(states[MASK], expected) is (name not in DECODERS)
    changed = IDS.clone()
    changed[:, 12] = (changed[:, 12] + 1) % (VOCAB - 5) + 5
    assert (encoder(changed, MASK) - states)[1, 0].abs().max() > 1e-6  # its last piece, and its first state
    assert as_trained.description.endswith("sees only what precedes it") is (name in DECODERS)
    assert ("a decoder that attends both ways here" in encoder.description) is (name in DECODERS)
    assert ("its decoder is left out" in encoder.description) is (name in ENCODER_DECODERS)
    if name in DECODERS:
        assert torch.equal(as_trained(changed, MASK)[1, 0], as_trained(IDS, MASK)[1, 0])
    padded = IDS.masked_fill(~MASK, 3)
    assert torch.equal(encoder(padded, MASK)[MASK], states[MASK])

    assert encoder.config.max_length == MAX_LENGTHS[name]
    assert encoder.config.hidden_size == encoder(torch.full((1, MAX_LENGTHS[name]), 9)).shape[-1] == 32
    with pytest.raises(ValueError, match="at most"):
        encoder(torch.full((1, MAX_LENGTHS[name] + 1), 9))
    assert (encoder.config.vocab_size, encoder.config.num_layers) == (VOCAB, 2)
    assert (encoder.device.type, encoder.dtype) == ("cpu", torch.float32)

    encoder.save_pretrained(tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert name not in ENCODER_DECODERS or not any("decoder" in key for key in saved)
    again = opened(tmp_path / "saved")
    assert again.config == encoder.config
    assert torch.equal(again(IDS, MASK), states)


@pytest.mark.parametrize("name", ["openai-gpt", "llama", "bart", "eurobert", "camembert"])
@torch.no_grad()
def test_checkpoints_of_larger_models(name: str, tmp_path: Path) -> None:
    """The model's names under its prefix, beside a head's, with tables that older files contain."""
    theirs = their_model(name)
    write_their(tmp_path, theirs)
    tensors = load_file(tmp_path / "model.safetensors")
    prefix = f"{theirs.base_model_prefix}."
    larger = {prefix + key: value for key, value in tensors.items()} | {
        "lm_head.weight": torch.zeros(VOCAB, 32)
    }
    if name == "openai-gpt":
        larger["transformer.h.0.attn.bias"] = torch.ones(1, 1, LENGTH, LENGTH).tril()
    save_file(larger, tmp_path / "model.safetensors")
    encoder = opened(tmp_path, bidirectional=False)
    assert torch.equal(encoder(IDS, MASK)[MASK], their_states(theirs, IDS, MASK)[MASK])


@pytest.mark.parametrize("name", ["openai-gpt", "qwen3", "m2m_100"])
def test_tensors_that_do_not_fit(name: str, tmp_path: Path) -> None:
    write_their(tmp_path, their_model(name))
    tensors = load_file(tmp_path / "model.safetensors")
    part = "encoder." if name in ENCODER_DECODERS else ""
    key = next(key for key, value in sorted(tensors.items()) if key.startswith(part) and value.ndim == 2)
    for change, told in {
        "missing": ({}, f"missing: {key.removeprefix(part)}"),
        "wrong": ({key: torch.zeros(3, 5)}, r"is \(3, 5\), not"),
        "nan": ({key: torch.full_like(tensors[key], torch.nan)}, "is not finite"),
        "unexpected": ({key: tensors[key], "surplus.weight": torch.zeros(2)}, "unexpected: surplus.weight"),
    }.values():
        left = {each: value for each, value in tensors.items() if each != key}
        save_file(left | change, tmp_path / "model.safetensors")
        with pytest.raises(CheckpointError, match=told):
            open_encoder(tmp_path)


def test_only_safetensors(tmp_path: Path) -> None:
    model = their_model("openai-gpt")
    write_their(tmp_path, model)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no pickle is read"):
        open_encoder(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    {
        "an unknown type": ({"model_type": "frobnicate"}, "unknown model_type 'frobnicate'; known: albert, "),
        "no text": ({"model_type": "vit"}, "config.json: |no embeddings of pieces"),
        "quantised": ({"quantization_config": {"bits": 4}}, "quantised weights are not read"),
        "layers": ({"n_layer": 10**6}, "n_layer is 1000000, but there are only 26 tensors"),
        "width": ({"n_embd": 10**12}, "n_embd must be at most"),
        "a word for a number": ({"n_embd": "wide"}, "config.json: "),
        "heads": ({"n_head": 7}, "config.json: "),
        "positions": ({"n_positions": -3}, "config.json: |wpe.weight"),
        "no number": ({"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon contains nan"),
        "a long list": ({"pruned": [[1, 10**9]]}, "pruned contains 1000000000"),
        "a direction": ({"bidirectional": "yes"}, "bidirectional must be true or false, got 'yes'"),
    }.values(),
)
def test_configurations_that_are_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    write_their(tmp_path, their_model("openai-gpt"))
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | changes))
    with pytest.raises((ConfigError, CheckpointError), match=told) as caught:
        open_encoder(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_no_code_of_a_checkpoint_is_run(tmp_path: Path) -> None:
    """Neither that which config.json names, nor kernels of a hub; and it is not passed on."""
    write_their(tmp_path, their_model("openai-gpt"))
    values = json.loads((tmp_path / "config.json").read_text())
    values["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    values |= {
        f"{each}attn_implementation{end}": "owner/kernel" for each in ("", "_") for end in ("", "_internal")
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    encoder = opened(tmp_path)
    assert not [key for key in encoder.config_to_json() if "implementation" in key or key == "auto_map"]


def test_without_transformers(tmp_path: Path) -> None:
    write_their(tmp_path, their_model("openai-gpt"))
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from pybert_crf.encoders import open_encoder\n"
        f"try: open_encoder({str(tmp_path)!r})\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    line = (
        "an encoder of type 'openai-gpt' needs the package transformers: "
        "pip install 'pybert-crf[transformers]'\n"
    )
    assert done.stdout == line


def test_our_own_types_are_ours(tmp_path: Path) -> None:
    Encoder.from_size("tiny", vocab_size=50).save_pretrained(tmp_path)
    assert isinstance(open_encoder(tmp_path), Encoder)


@pytest.mark.parametrize("name", CAUSAL)
@torch.no_grad()
def test_what_stays_causal_says_so(name: str, tmp_path: Path) -> None:
    theirs = their_model(name)
    write_their(tmp_path, theirs)
    encoder = opened(tmp_path)
    assert not encoder.bidirectional
    (note,) = encoder.notes
    assert note == encoder.description
    reasons = {
        "mamba": "its class of transformers",
        "mpt": "its position scores (ALiBi) grow",
    }
    assert note.startswith(f"{name} encoder, of transformers: stays causal, since {reasons[name]}")
    assert note.endswith(": each piece sees only what precedes it")
    assert torch.equal(encoder(IDS, MASK)[MASK], their_states(theirs, IDS, MASK)[MASK])
    asked = opened(tmp_path, bidirectional=False)
    assert asked.description.endswith("causal, as it was trained: each piece sees only what precedes it")


@pytest.mark.parametrize("name", ["qwen3", "llama", "gptj", "opt", "ctrl"])
@torch.no_grad()
def test_both_ways_is_what_transformers_computes_with_a_square_mask(name: str, tmp_path: Path) -> None:
    """An independent way: classes of transformers add a mask of (batch, 1, length, length) as it is."""
    theirs = their_model(name)
    write_their(tmp_path, theirs)
    square = torch.zeros(2, 1, 20, 20).masked_fill(~MASK[:, None, None], torch.finfo(torch.float32).min)
    positions = torch.arange(20).expand(2, -1)
    expected = theirs(input_ids=IDS, attention_mask=square, position_ids=positions).last_hidden_state
    states = opened(tmp_path)(IDS, MASK)
    assert (states - expected)[MASK].abs().max() < 1e-5


@torch.no_grad()
def test_alibi_falls_on_both_sides(tmp_path: Path) -> None:
    """Its scores depend on distances alone: a text read backwards has the same states, backwards."""
    theirs = their_model("bloom")
    write_their(tmp_path, theirs)
    encoder = opened(tmp_path)
    states = encoder(IDS)
    assert (encoder(IDS.flip(1)) - states.flip(1)).abs().max() < 1e-5
    assert (states[:, 0] - their_states(theirs, IDS, torch.ones_like(IDS))[:, 0]).abs().max() > 1e-3
    encoder.model.config.is_causal = True  # and where nothing follows they are those of transformers
    causal = encoder(IDS)
    assert (causal - their_states(theirs, IDS, torch.ones_like(IDS))).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["qwen3", "gpt_neo", "gptj", "eurobert", "bart"])
def test_reduced_precision_and_recomputed_layers(name: str, tmp_path: Path) -> None:
    write_their(tmp_path, their_model(name))
    encoder = opened(tmp_path)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = encoder(IDS, MASK)[MASK].float()
        wide = opened(tmp_path, dtype=torch.bfloat16)(IDS, MASK)[MASK].float()
    with torch.no_grad():
        exact = encoder(IDS, MASK)[MASK]
    for each in (half, wide):
        assert (each - exact).abs().mean() < 0.05 * exact.abs().mean() + 0.01
    first = torch.autograd.grad(
        encoder(IDS, MASK)[MASK].square().sum(), encoder.model.get_input_embeddings().weight
    )
    encoder.train().checkpoint_activations()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    second = torch.autograd.grad(
        encoder(IDS, MASK)[MASK].square().sum(), encoder.model.get_input_embeddings().weight
    )
    assert (first[0] - second[0]).abs().max() < 1e-2


def test_cases_cover_what_the_page_lists() -> None:
    page = (Path(__file__).parents[3] / "docs" / "encoders.md").read_text("utf-8")
    section = page[page.index("## Other types") : page.index("## What is refused")]
    assert [name for name in (*DECODERS, *ENCODERS, *ENCODER_DECODERS) if f"`{name}`" not in section] == []
