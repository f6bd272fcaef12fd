"""What is peculiar to T5 and GPT-2: directions, decoders that are left out, biases by distance, old files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_cases import OURS, their_model, their_states, write_their
from encoder_cases import VOCAB, as_ours, our_config, their_config
from encoder_cases import their_model as odd_model
from safetensors.torch import load_file, save_file
from transformers.models.t5.modeling_t5 import T5Attention

from pybert_crf import BertCRF, CheckpointError, ConfigError, Encoder, MaskedLM
from pybert_crf.encoders import AdaptedEncoder, config_from_json, open_encoder, read_config, read_tensors
from pybert_crf.encoders.attention import biased
from pybert_crf.encoders.attention.biased import distance_buckets

IDS = torch.randint(5, VOCAB, (2, 20), generator=torch.Generator().manual_seed(1))
MASK = torch.arange(20) < torch.tensor([[20], [13]])
T5S = ("t5", "mt5", "umt5")

each_type = pytest.mark.parametrize("name", OURS)
each_t5 = pytest.mark.parametrize("name", T5S)


def opened(directory: Path, **options: Any) -> Encoder:
    encoder = open_encoder(directory, **options)
    assert isinstance(encoder, Encoder)
    return encoder.eval()


@each_type
@torch.no_grad()
def test_directions(name: str, tmp_path: Path) -> None:
    """Both ways another last piece changes the first state; causal it changes no other, and is remembered."""
    theirs = their_model(name)
    write_their(tmp_path / "theirs", theirs)
    changed = IDS.clone()
    changed[:, -1] = (changed[:, -1] + 1) % VOCAB
    both = opened(tmp_path / "theirs")
    assert both.bidirectional is both.config.bidirectional is True
    assert ((both(changed) - both(IDS))[:, 0].abs().max(1).values > 1e-6).all()

    as_trained = opened(tmp_path / "theirs", bidirectional=False)
    torch.testing.assert_close(
        as_trained(IDS, MASK)[MASK], their_states(theirs, IDS, MASK)[MASK], rtol=0, atol=1e-5
    )
    assert as_trained.bidirectional is (name != "gpt2")  # an encoder stays what it is
    as_trained.save_pretrained(tmp_path / "saved")
    again = opened(tmp_path / "saved")
    assert again.config == as_trained.config
    assert opened(tmp_path / "saved", bidirectional=True).bidirectional
    if name == "gpt2":
        assert torch.equal(again(changed)[:, :-1], again(IDS)[:, :-1])
        assert again.notes == (
            "gpt2 encoder: causal, as it was trained: each piece sees only what precedes it",
        )
        assert both.notes == ("gpt2 encoder: a decoder that attends both ways here",)
    else:
        assert both.notes == (f"{name} encoder: attends both ways; its decoder is left out",)


@pytest.mark.parametrize("causal", [False, True])
@each_type
@torch.no_grad()
def test_a_tagger_of_the_adapter(name: str, causal: bool, tmp_path: Path) -> None:
    """Taggers that were saved before these types had tables give the same states, the same way."""
    theirs = their_model(name)
    write_their(tmp_path / "theirs", theirs)
    values, tensors = read_config(tmp_path / "theirs"), read_tensors(tmp_path / "theirs")
    adapted = AdaptedEncoder.from_checkpoint(values, tensors, bidirectional=not causal)
    former = BertCRF(adapted, ["O", "B-X", "I-X"], "BIO").eval()
    former.save_pretrained(tmp_path / "saved")
    tagger = BertCRF.from_pretrained(tmp_path / "saved")
    assert isinstance(tagger.encoder, Encoder)
    assert tagger.encoder.bidirectional is adapted.bidirectional
    states = tagger.encoder(IDS, MASK)
    torch.testing.assert_close(states[MASK], former.encoder(IDS, MASK)[MASK], rtol=0, atol=1e-5)
    for part in ("linear", "crf"):
        pairs = zip(getattr(tagger, part).parameters(), getattr(former, part).parameters(), strict=True)
        assert all(torch.equal(mine, old) for mine, old in pairs)


def test_a_direction_that_is_none(tmp_path: Path) -> None:
    write_their(tmp_path, their_model("gpt2"))
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"bidirectional": "yes"}))
    with pytest.raises(ConfigError, match="bidirectional = 'yes' is not supported, only True, False"):
        open_encoder(tmp_path)


@each_type
def test_no_head_for_masked_pieces(name: str, tmp_path: Path) -> None:
    write_their(tmp_path, their_model(name))
    with pytest.raises(ValueError, match=f"the family '{name}' have no head for masked pieces"):
        MaskedLM.from_pretrained(tmp_path)


def test_tables_in_older_files_of_gpt2(tmp_path: Path) -> None:
    """What each position may see, as numbers; and the head's copy of the embeddings as the only one."""
    theirs = their_model("gpt2")
    write_their(tmp_path, theirs)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors = {f"transformer.{name}": tensor for name, tensor in tensors.items()}
    tensors["lm_head.weight"] = tensors.pop("transformer.wte.weight")
    tensors["transformer.h.1.attn.bias"] = torch.ones(1, 1, 48, 48).tril()
    tensors["transformer.h.1.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, tmp_path / "model.safetensors")
    encoder = opened(tmp_path, bidirectional=False)
    torch.testing.assert_close(encoder(IDS), their_states(theirs, IDS, IDS > 0), rtol=0, atol=1e-5)


@each_t5
def test_two_copies_of_the_embeddings(name: str) -> None:
    """Either is enough, and they must agree."""
    theirs = odd_model(name)
    both = dict(theirs.state_dict())
    expected, config = as_ours(theirs).to_checkpoint(), our_config(name)
    inside, outside = "encoder.embed_tokens.weight", "shared.weight"
    for missing in (inside, outside):
        one = {key: tensor for key, tensor in both.items() if key != missing}
        got = Encoder.from_checkpoint(config, one).to_checkpoint()
        assert all(torch.equal(got[key], tensor) for key, tensor in expected.items())
    both[inside] = both[inside] + 1.0
    with pytest.raises(CheckpointError, match=r"embed_tokens\.weight and shared\.weight differ"):
        Encoder.from_checkpoint(config, both)
    del both[inside], both[outside]
    with pytest.raises(CheckpointError, match=r"missing: shared\.weight"):
        Encoder.from_checkpoint(config, both)


@pytest.mark.parametrize(("buckets", "furthest"), [(32, 128), (32, 9), (30, 17), (5, 2), (4, 2), (256, 1000)])
def test_buckets(buckets: int, furthest: int) -> None:
    """Every distance has the same bucket as in transformers, also at the borders."""
    distance = torch.arange(3 * furthest)
    expected = T5Attention._relative_position_bucket(-distance, True, buckets, furthest)
    assert distance_buckets(buckets // 2, furthest, 3 * furthest - 1) == tuple(expected.tolist())


@each_t5
@torch.no_grad()
def test_sequences_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is the same for all sequences at once and one by one."""
    encoder = as_ours(odd_model(name))
    ids, mask = IDS % 50, MASK
    together = encoder(ids, mask)
    monkeypatch.setattr(biased, "CHUNK", 1)
    torch.testing.assert_close(encoder(ids, mask), together, rtol=0, atol=1e-5)


def test_activations_of_t5() -> None:
    """The names that its configuration has for what is activated, and for what is gated."""
    values = their_config("t5").to_dict()
    for theirs, ours in {
        "relu": ("relu", False),
        "gelu": ("gelu", False),
        "gated-gelu": ("gelu_new", True),
        "gated-silu": ("silu", True),
    }.items():
        config = config_from_json(values | {"feed_forward_proj": theirs})
        assert (config.activation, config.feed_forward.gated) == ours
        assert Encoder(config).config_to_json()["feed_forward_proj"] == theirs
    gelu = config.with_fields({"activation": "gelu"})
    with pytest.raises(ConfigError, match="in t5 encoders activation is 'gelu_new', not 'gelu'"):
        Encoder(gelu)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("t5", {"feed_forward_proj": 3}, "feed_forward_proj must be an activation or gated-…, got 3"),
    ("t5", {"feed_forward_proj": "gated-what"}, "unknown activation 'what'"),
    ("t5", {"relative_attention_num_buckets": 3}, "buckets must be at least 4"),
    ("t5", {"relative_attention_max_distance": 7}, "max_distance must be at least 8"),
    ("t5", {"is_decoder": True}, "is_decoder = True is not supported"),
    ("t5", {"d_kv": -1}, "d_kv must be at least 0"),
    ("t5", {"d_kv": 1 << 23, "num_heads": 4}, "num_heads times attention.head_size must be at most"),
    ("gpt2", {"add_cross_attention": True}, "add_cross_attention = True is not supported"),
    ("gpt2", {"n_head": 4}, "n_embd 33 is not divisible by num_heads 4"),
    ("gpt2", {"n_inner": 0}, "n_inner must be at least 1"),
    ("gpt2", {"embd_pdrop": 1.0}, "embd_pdrop must be in"),
    ("gpt2", {"pad_token_id": "0"}, "pad_token_id must be an integer"),
]


@pytest.mark.parametrize(("family", "change", "message"), WRONG)
def test_configurations_that_are_refused(family: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_json(their_config(family).to_dict() | change)
    assert message in str(caught.value)


def test_attention_of_another_kind_is_not_causal() -> None:
    for name in ("deberta-v2", "big_bird"):
        with pytest.raises(ValueError, match=r"attention\.causal needs dense or biased attention, not"):
            our_config(name).with_fields({"attention.causal": True})
    with pytest.raises(ConfigError, match=r"in bert encoders attention\.causal is False, not True"):
        Encoder(our_config("bert").with_fields({"attention.causal": True}))
