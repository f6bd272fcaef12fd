"""Damaged directories of models: each is refused by an error that names the file, or works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from adapter_cases import kind_of, their_model, write_their, write_tokenizer
from damages import Damage, field_damages, file_damages, weight_damages
from safetensors.torch import load_file, save_file

from pybert_crf import BertCRF, CheckpointError, ConfigError, Encoder, EncoderConfig, Tagger
from pybert_crf.encoders import open_encoder
from pybert_crf.text.tokenizer import UnitTokenizer

TEXT = "张三在北京"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tagger; tests copy it."""
    tokenizer = UnitTokenizer.build([list(TEXT)], "char", size=40, min_count=1)
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 12, 2, 3, 20, max_positions=32))
    directory = tmp_path_factory.mktemp("saved") / "tagger"
    Tagger(BertCRF(encoder, ["O", "B-LOC", "I-LOC"], "BIO"), tokenizer, "char").save_pretrained(directory)
    return directory


def _faults(saved: Path, place: Path, damages: Iterable[Damage]) -> list[str]:
    """Open the model after each damage; return what was wrong about the errors."""
    faults = []
    for name, damage in damages:
        directory = place / "model"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(saved, directory)
        damage(directory)
        try:
            Tagger.from_pretrained(directory)(TEXT)
        except (ConfigError, CheckpointError, FileNotFoundError) as error:
            if str(directory) not in str(error) or len(str(error)) > 1500:
                faults.append(f"{name}: {error}")
        except Exception as error:
            faults.append(f"{name}: {error!r}")
        if (place / "harmed").exists():
            faults.append(f"{name}: code ran")
            (place / "harmed").rmdir()
    return faults


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer_config.json", pytest.param("tokenizer.json", marks=pytest.mark.slow)]
)
def test_every_field(file: str, saved: Path, tmp_path: Path) -> None:
    assert _faults(saved, tmp_path, field_damages(saved, file)) == []


def test_every_file(saved: Path, tmp_path: Path) -> None:
    assert _faults(saved, tmp_path, file_damages(saved)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openai-gpt", "bart", "gpt2", "t5"])
def test_every_field_and_file_with_another_encoder(name: str, tmp_path: Path) -> None:
    start = tmp_path / "start"
    write_their(start, their_model(name))
    write_tokenizer(start, kind_of(name), [TEXT] * 5)
    model = BertCRF(open_encoder(start), ["O", "B-LOC", "I-LOC"], "BIO")
    saved = tmp_path / "tagger"
    Tagger(model, UnitTokenizer.from_directory(start, "char"), "char").save_pretrained(saved)
    for damages in (field_damages(saved, "config.json"), file_damages(saved)):
        assert _faults(saved, tmp_path, damages) == []


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # of torch, for odd tensors
def test_weights_in_every_format(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where code in a pickle would leave its mark
    assert _faults(saved, tmp_path, weight_damages(saved)) == []


def test_a_number_of_layers_without_tensors(saved: Path, tmp_path: Path) -> None:
    """Nothing is built for them: 1000 layers would take seconds, 10^9 all memory."""
    with pytest.raises(CheckpointError, match=r"num_hidden_layers is 900, but there are only 4. tensors"):
        Encoder.from_pretrained(_changed(saved, tmp_path, num_hidden_layers=900))
    with pytest.raises(ConfigError, match=r"config\.json: num_hidden_layers must be at most 1000"):
        Encoder.from_pretrained(_changed(saved, tmp_path, num_hidden_layers=10**9))


def test_the_format_of_a_later_version(saved: Path, tmp_path: Path) -> None:
    own = json.loads((saved / "config.json").read_text())["pybert_crf"]
    with pytest.raises(ConfigError, match=r"config\.json: pybert_crf\.format is 2, but this version"):
        Tagger.from_pretrained(_changed(saved, tmp_path, pybert_crf=own | {"format": 2}))


def test_more_labels_than_the_crf_has(saved: Path, tmp_path: Path) -> None:
    """They are compared before the CRF is built, with a square of their number."""
    own = json.loads((saved / "config.json").read_text())["pybert_crf"]
    labels = ["O", *(f"B-{number}" for number in range(50_000))]
    with pytest.raises(CheckpointError, match=r"crf\.transitions is \(3, 3\) instead of \(50001, 50001\)"):
        Tagger.from_pretrained(_changed(saved, tmp_path, pybert_crf=own | {"labels": labels}))


@pytest.mark.parametrize(
    ("prefix", "named", "extra"),
    [
        ("module.", "module.bert.", "module."),
        ("model.", "model.bert.", "model."),
        ("_orig_mod.", "_orig_mod.bert.", "_orig_mod."),
        ("bert.", "bert.bert.", "bert."),
    ],
)
def test_a_wrapper_is_named(prefix: str, named: str, extra: str, saved: Path, tmp_path: Path) -> None:
    directory = _changed(saved, tmp_path)
    tensors = load_file(saved / "model.safetensors")
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, directory / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        Encoder.from_pretrained(directory)
    assert f"their names begin with {named!r}" in str(caught.value)
    assert f"name.removeprefix({extra!r})" in str(caught.value)
    # What the message advises is right.
    renamed = {(prefix + name).removeprefix(extra): tensor for name, tensor in tensors.items()}
    save_file(renamed, directory / "model.safetensors")
    Encoder.from_pretrained(directory)


def test_a_pickled_dictionary_around_the_tensors(saved: Path, tmp_path: Path) -> None:
    directory = _changed(saved, tmp_path)
    (directory / "model.safetensors").unlink()
    torch.save({"state_dict": load_file(saved / "model.safetensors")}, directory / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"may be in its entry 'state_dict': save that alone"):
        Encoder.from_pretrained(directory)


def test_bert_config(saved: Path, tmp_path: Path) -> None:
    """Google's name for config.json."""
    directory = _changed(saved, tmp_path)
    (directory / "config.json").rename(directory / "bert_config.json")
    assert Encoder.from_pretrained(directory).config.num_layers == 2
    assert Tagger.from_pretrained(directory)(TEXT) == Tagger.from_pretrained(saved)(TEXT)
    (directory / "config.json").write_text('{"model_type": "bart"}')
    with pytest.raises(ConfigError, match="bart"):  # config.json comes first
        Encoder.from_pretrained(directory)


def test_a_tokenizer_larger_than_the_embeddings(saved: Path, tmp_path: Path) -> None:
    directory = _changed(saved, tmp_path)
    UnitTokenizer.build([list(TEXT + "天地玄黄")], "char", size=40, min_count=1).save(directory)
    with pytest.raises(ConfigError, match="its tokenizer has 14 pieces, its encoder only 10"):
        Tagger.from_pretrained(directory)


def _changed(saved: Path, place: Path, **values: object) -> Path:
    """A copy of the tagger with other values in its config.json."""
    directory = place / "changed"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(saved, directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | values))
    return directory
