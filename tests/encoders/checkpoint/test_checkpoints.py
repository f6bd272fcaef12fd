"""Checkpoints of every family: exchanged with transformers; tensors that do not fit are named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from encoder_cases import (
    CASES,
    as_ours,
    batch_for,
    each_family,
    kept,
    our_config,
    our_encoder,
    task_classes,
    their_arguments,
    their_class,
    their_model,
)
from safetensors.torch import load_file, save_file

from pybert_crf.encoders import CheckpointError, ConfigError, Encoder, read_tensors
from pybert_crf.encoders.config import FIELDS
from pybert_crf.encoders.families import FAMILIES
from pybert_crf.encoders.families.bert import EMBEDDING_RENAMES


def _assert_same(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        assert tensor.dtype == expected[name].dtype, name
        assert torch.equal(tensor, expected[name]), name


@each_family
def test_ours_opens_in_transformers(family: str, tmp_path: Path) -> None:
    ours = our_encoder(family).eval()
    directory = tmp_path / "new" / "model"
    ours.save_pretrained(directory)
    # A pooler, which some models have, is all that may be missing.
    # The class of an encoder-decoder has a decoder too.
    alone = family in ("t5", "mt5", "umt5")
    auto = transformers.AutoModelForTextEncoding if alone else transformers.AutoModel
    theirs, report = auto.from_pretrained(directory, output_loading_info=True)
    assert isinstance(theirs, their_class(family))
    assert all(name.startswith("pooler.") for name in report.pop("missing_keys"))
    assert not any(report.values()), report
    batch = batch_for(ours.config)
    with torch.no_grad():
        expected = theirs.eval()(**their_arguments(batch, theirs)).last_hidden_state
        torch.testing.assert_close(ours(**batch)[kept(batch)], expected[kept(batch)], rtol=0, atol=1e-5)


@each_family
def test_theirs_to_ours_to_theirs(family: str, tmp_path: Path) -> None:
    """All tensors are equal bit for bit under the same names, and so is the configuration."""
    theirs = their_model(family)
    theirs.save_pretrained(tmp_path / "theirs")
    Encoder.from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    _assert_same(second, first)
    config = their_class(family, "Config")
    before = config.from_pretrained(tmp_path / "theirs").to_dict()
    after = config.from_pretrained(tmp_path / "ours").to_dict()
    assert {key for key in before if before[key] != after[key]} <= {"architectures", "dtype"}


@each_family
def test_ours_to_theirs_to_ours(family: str, tmp_path: Path) -> None:
    ours = our_encoder(family)
    ours.save_pretrained(tmp_path / "ours")
    theirs: Any = their_class(family).from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    again = Encoder.from_pretrained(str(tmp_path / "theirs"))
    assert again.config == ours.config
    _assert_same(dict(again.state_dict()), dict(ours.state_dict()))
    assert not any(parameter.is_meta for parameter in again.parameters())
    assert [p.requires_grad for p in again.parameters()] == [p.requires_grad for p in ours.parameters()]


def test_checkpoint_is_a_copy() -> None:
    """Further training changes neither exported tensors nor those that were imported."""
    ours = Encoder.from_size("tiny", vocab_size=67)
    exported = ours.to_checkpoint("bert.")
    assert all(name.startswith("bert.") for name in exported)
    again = Encoder.from_checkpoint(ours.config, exported)
    kept_ones = {name: tensor.clone() for name, tensor in exported.items()}
    with torch.no_grad():
        for parameter in [*ours.parameters(), *again.parameters()]:
            parameter.add_(1.0)
    _assert_same(exported, kept_ones)


FORMS = ["safetensors", "bin"]
TASKS = [
    pytest.param(family, task, FORMS[number % 2], id=f"{family}, {task}, {FORMS[number % 2]}")
    for family in FAMILIES
    for number, task in enumerate(task_classes(family))
]


@pytest.mark.parametrize(("family", "task", "form"), TASKS)
def test_heads_are_ignored(family: str, task: str, form: str, tmp_path: Path) -> None:
    """All classes of transformers for the family: prefixed names, heads, tied weights, a pooler."""
    theirs = their_model(family, task)
    if form == "bin":
        theirs.config.save_pretrained(tmp_path)
        torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    else:
        theirs.save_pretrained(tmp_path)
    ours = Encoder.from_pretrained(tmp_path).eval()
    body = getattr(theirs, theirs.base_model_prefix, theirs)
    _assert_same(ours.to_checkpoint(), as_ours(body).to_checkpoint())
    state = body.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.to_checkpoint().items())


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("family", [name for name, table in FAMILIES.items() if table.mlm_head is not None])
def test_masked_words(family: str, tied: bool, tmp_path: Path) -> None:
    """Tied to the decoder or not, in shards, and with the decoder as the only copy of the embeddings."""
    (task,) = (name for name in task_classes(family) if name in ("ForMaskedLM", "WithLMHeadModel"))
    theirs = their_model(family, task, tie_word_embeddings=tied)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="10KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    state = {name: tensor.contiguous() for name, tensor in theirs.state_dict().items()}
    prefix = FAMILIES[family].prefix
    for name, tensor in Encoder.from_pretrained(tmp_path / "shards").to_checkpoint(prefix).items():
        assert torch.equal(tensor, state[name]), name
    ((name, heads_name),) = FAMILIES[family].tied.items()
    assert torch.equal(state[prefix + name], state[heads_name]) == tied
    if tied:
        word = state.pop(prefix + name)
        theirs.config.save_pretrained(tmp_path / "one")
        save_file(
            {name: tensor.clone() for name, tensor in state.items()}, tmp_path / "one" / "model.safetensors"
        )
        ours = Encoder.from_pretrained(tmp_path / "one")
        assert torch.equal(ours.embeddings.word.weight, word)


@each_family
def test_old_spelling(family: str, tmp_path: Path) -> None:
    """Norms named gamma and beta, and a saved buffer of positions."""
    family_table = FAMILIES[family]
    theirs = their_model(family)
    ours = as_ours(theirs)
    state = {family_table.prefix + name: tensor for name, tensor in theirs.state_dict().items()}
    norms = {
        their_name
        for name in ours.state_dict()
        if re.search(r"norm\.\w+$", name)
        for their_name in family_table.their_names(name)[1]
    }
    old = {}
    for name, tensor in state.items():
        is_norm = name.removeprefix(family_table.prefix) in norms
        former = name.removesuffix(".weight") + ".gamma" if name.endswith(".weight") else name[:-5] + ".beta"
        old[former.replace("..", ".") if is_norm else name] = tensor
    assert len(old.keys() - state.keys()) == len(norms) > 0
    for table in ("position_ids", "embeddings.position_ids"):
        if table in family_table.heads:
            old[family_table.prefix + table] = torch.arange(29)[None]
    theirs.config.save_pretrained(tmp_path)
    torch.save(old, tmp_path / "pytorch_model.bin")
    copies = {family_table.prefix + name for name in family_table.copies}
    expected = {name: tensor for name, tensor in state.items() if name not in copies}
    _assert_same(Encoder.from_pretrained(tmp_path).to_checkpoint(family_table.prefix), expected)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_float32_by_default(stored: torch.dtype, tmp_path: Path) -> None:
    theirs = their_model("bert")
    theirs.to(stored)
    theirs.save_pretrained(tmp_path)
    ours = Encoder.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}
    word = theirs.embeddings.word_embeddings.weight
    assert torch.equal(ours.embeddings.word.weight, word.float())
    half = Encoder.from_pretrained(tmp_path, dtype=stored)
    assert {parameter.dtype for parameter in half.parameters()} == {stored}


@each_family
def test_every_offending_tensor_is_named(family: str, tmp_path: Path) -> None:
    """The first two tensors are missing, two are added, one has another shape and one has integers."""
    theirs = their_model(family)
    state = dict(theirs.state_dict())
    first, second, third, fourth = (
        FAMILIES[family].their_names(name)[1][0] for name in list(as_ours(theirs).state_dict())[2:6]
    )
    del state[first], state[second]
    state["another.weight"] = torch.zeros(1)
    state["embeddings.extra"] = torch.zeros(1)
    shape = tuple(state[third].shape)
    state[third] = torch.zeros(1, 2, 3)
    state[fourth] = state[fourth].to(torch.int8)
    theirs.config.save_pretrained(tmp_path)
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError) as caught:
        Encoder.from_pretrained(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the tensors do not fit this {family} encoder; "
        f"missing: {first}, {second}; "
        "unexpected: another.weight, embeddings.extra; "
        f"wrong: {third} is (1, 2, 3), not {shape}, {fourth} is of torch.int8, not floating point"
    )


def test_the_same_tensor_twice() -> None:
    ours = Encoder.from_size("tiny", vocab_size=67)
    both = ours.to_checkpoint() | ours.to_checkpoint("bert.")
    with pytest.raises(CheckpointError, match="is present twice, under two names"):
        Encoder.from_checkpoint(ours.config, both)


def test_another_model_is_refused_by_its_directory(tmp_path: Path) -> None:
    Encoder.from_size("tiny", vocab_size=67).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"model_type": "bart"}))
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}: config.json: unknown model_type 'bart'")):
        Encoder.from_pretrained(tmp_path)


@each_family
def test_the_table_is_invertible(family: str) -> None:
    """Every parameter has its own names in a checkpoint, every field its own key; no row is unused."""
    table = FAMILIES[family]
    configs = [our_config(family, **change) for change in ({}, *CASES[family].variants.values())]
    used = set()
    for config in configs:
        found = [table.their_names(name) for name in Encoder(config).state_dict()]
        names = [name for _, own in found for name in own]
        assert len(set(names)) == len(names)
        used |= {rename.ours for rename, _ in found}
    # The rows of BERT's embeddings are shared as a whole, also by families without segments.
    assert {rename.ours for rename in table.renames} - used <= {rename.ours for rename in EMBEDDING_RENAMES}
    keys = [table.their_key(name) for name in table.config_keys] + [key.name for key in table.split_keys]
    keys += table.written
    assert len(set(keys)) == len(keys)
    split = [name for key in table.split_keys for name in key.fields]
    filled = [
        *table.config_keys,
        *split,
        *table.constants,
        *(table.derived.keys() - table.config_keys.keys()),
    ]
    assert len(set(filled)) == len(filled)
    assert set(filled) | set(table.defaults) <= set(FIELDS)


def test_minilm_round_trip(minilm_dir: Path, tmp_path: Path) -> None:
    ours = Encoder.from_pretrained(minilm_dir)
    ours.save_pretrained(tmp_path)
    original = read_tensors(minilm_dir)
    heads = {name for name in original if name.startswith("pooler.") or name.endswith("position_ids")}
    _assert_same(read_tensors(tmp_path), {name: original[name] for name in original.keys() - heads})
