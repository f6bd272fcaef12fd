"""Encoder, linear layer and CRF as one module, with its directory on disk."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pybert_crf.batches import Batch
from pybert_crf.crf import CRF
from pybert_crf.encoders import (
    AnyEncoder,
    Base,
    CheckpointError,
    ConfigError,
    Lora,
    is_finite,
    load_encoder,
    naming,
    read_config,
    write_lora,
    write_tensors,
)
from pybert_crf.files import write_json
from pybert_crf.reading import listed, one_of, quoted
from pybert_crf.tagging_constraints import tag_constraints
from pybert_crf.text.tagging.schemes import SCHEMES
from pybert_crf.text.units import UNITS

HEAD = {"classifier.": "linear.", "crf.": "crf."}
"""Prefixes of the tensors of linear layer and CRF: in ``model.safetensors``, and in `BertCRF`."""

SECTION = "pybert_crf"
"""The section of ``config.json`` that this package writes."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""The types that an encoder's weights may have."""

FORMAT = 1
"""The version of the section's format, the only one that is read."""

# Encoded at once: bounds the memory that a long text takes. In training the bound is on a sentence that makes
# a batch of its own; batches of several have the size that the caller chose.
_INFERENCE_POSITIONS = 16384
_CPU_POSITIONS = 2048  # with more, memory for the activations is taken anew each time: page faults
_TRAINING_POSITIONS = 4096


class BertCRF(nn.Module):
    """A sequence labeller: the encoder's hidden state of each unit's first piece → linear → CRF.

    Args:
        encoder: gives hidden states of (windows, length, hidden_size).
        labels: the tags, in the order of their numbers.
        scheme: the tag scheme of the labels (``"BIO"``, ``"IOB1"``, ``"BIOES"``, ``"BMES"``, ``"IO"`` …). The
            CRF then knows only its legal sequences: no I-PER after O in BIO, in training and decoding alike.
            None for labels without a scheme (parts of speech), any of which may follow any.
        dropout: probability of dropping a hidden feature before the linear layer, in training.

    Raises:
        ValueError: no labels, a repeated label, an unknown scheme, or a label outside the scheme.
    """

    def __init__(
        self, encoder: AnyEncoder, labels: Sequence[str], scheme: str | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if not labels or len(set(labels)) != len(labels):
            raise ValueError(f"labels must be distinct and at least one, got {list(labels)}")
        self.labels = tuple(labels)
        self.scheme = scheme
        self.objective: Callable[[BertCRF, Batch], Tensor] | None = None  # the loss of a batch, in training
        self.encoder = encoder
        encoder.freeze_unused()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(encoder.config.hidden_size, len(labels))
        constraints = None if scheme is None else tag_constraints(self.labels, scheme)
        self.crf = CRF(len(labels), batch_first=True, constraints=constraints)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def emissions(self, batch: Batch) -> Tensor:
        """Scores of every tag for every unit: (batch, time, tags)."""
        ids, attention = batch.input_ids, batch.attention_mask
        positions = _TRAINING_POSITIONS
        if not self.training:
            positions = _CPU_POSITIONS if ids.is_cpu else _INFERENCE_POSITIONS
        rows = max(1, positions // max(1, ids.shape[1]))  # windows that are encoded at once
        slices = zip(torch.split(ids, rows), torch.split(attention, rows), strict=True)
        dtype = self.linear.weight.dtype
        if ids.shape[0] <= rows or (self.training and batch.first.shape[0] > 1):
            hidden = self.encoder(ids, attention)  # (windows, length, hidden)
        elif self.training:  # activations of one slice at a time, computed again in the backward pass
            hidden = torch.cat([checkpoint(self.encoder, *each, use_reentrant=False) for each in slices])
        else:  # of many windows no hidden states are kept, only the scores of their pieces
            # In one block from the start: many small ones between the large would fragment the heap.
            pieces = torch.empty(*ids.shape, len(self.labels), dtype=dtype, device=ids.device)
            for start, each in zip(range(0, len(ids), rows), slices, strict=True):
                pieces[start : start + rows] = self.linear(self.encoder(*each).to(dtype))
            return pieces.flatten(0, 1)[batch.first]
        units = hidden.flatten(0, 1)[batch.first].to(dtype)  # (batch, time, hidden)
        scores: Tensor = self.linear(self.dropout(units))
        return scores

    def forward(self, batch: Batch) -> Tensor:
        """The loss in training, emissions (batch, time, tags) otherwise.

        The loss is that of `objective`, or the negative log-likelihood per unit: batches are cut by a token
        budget, so a mean over units weighs every unit of the corpus alike, whatever the length of its
        sentence. It is computed here, inside ``forward``, so that DistributedDataParallel sees the CRF's
        parameters.

        Raises:
            ValueError: a training batch without tags.
        """
        if not self.training:
            return self.emissions(batch)
        if batch.tags is None:
            raise ValueError("a batch without tags in training: call model.eval() to get emissions")
        if self.objective is not None:
            return self.objective(self, batch)
        emissions = self.emissions(batch)
        # Outside autocast: log-sums need float32 whatever the encoder's precision is.
        with torch.autocast(emissions.device.type, enabled=False):
            likelihood: Tensor = self.crf(emissions.float(), batch.tags, batch.mask, reduction="token_mean")
        return -likelihood

    def save_pretrained(
        self, directory: str | Path, extra: dict[str, Any] | None = None, over: Base | None = None
    ) -> None:
        """Write ``config.json``, with `extra` in our section, and ``model.safetensors``, all weights.

        The encoder's tensors carry their Hugging Face names and prefix, so ``transformers`` opens the
        directory as the encoder that it is. With `over`, the checkpoint that LoRA's factors were trained
        over, only the factors and the head are written, in the files of the package peft.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("encoder.")}
        head = {_outside(name): value for name, value in own.items()}
        config = self.encoder.config_to_json() | {
            "id2label": {str(number): label for number, label in enumerate(self.labels)},
            "label2id": {label: number for number, label in enumerate(self.labels)},
            "classifier_dropout": self.dropout.p,
            SECTION: {"format": FORMAT, "labels": list(self.labels), "scheme": self.scheme, **(extra or {})},
        }
        if self.encoder.dtype != torch.float32:
            config[SECTION]["dtype"] = str(self.encoder.dtype).removeprefix("torch.")
        if over is None:
            prefix = self.encoder.checkpoint_prefix
            write_tensors(directory, self.encoder.to_checkpoint(prefix=prefix) | head)
        else:
            write_lora(directory, Lora(over, self.encoder.factors(), head))
        write_json(directory / "config.json", config)

    @classmethod
    def from_pretrained(
        cls, directory: str | Path, *, local_files_only: bool = False, dtype: torch.dtype | None = None
    ) -> BertCRF:
        """Load what `save_pretrained` wrote; LoRA's factors are added to the weights of their base.

        `dtype` is that of the encoder's weights, by default the one that they were saved in; the linear layer
        and the CRF are float32.
        `local_files_only` forbids the network, where the base is a hub's model.

        Raises:
            FileNotFoundError: a file, or the base, is missing.
            ConfigError: ``config.json`` is not of a saved tagger, or has an invalid value.
            CheckpointError: a tensor is missing, unexpected, of another shape or not finite; each is named.
            ImportError: the encoder needs transformers, which is not installed.
        """
        directory = Path(directory)
        with naming(directory):
            config = read_tagger_config(directory)
            own = config[SECTION]
            dtype = dtype or DTYPES[own.get("dtype", "float32")]
            encoder, tensors = load_encoder(directory, config, dtype=dtype, local_files_only=local_files_only)
            head = _head_tensors(tensors, len(own["labels"]), encoder.config.hidden_size)
            try:
                model = cls(encoder, own["labels"], own["scheme"], config["classifier_dropout"])
            except ValueError as error:  # labels that are not of the scheme
                raise ConfigError(f"config.json: {SECTION}: {error}") from error
        model.load_state_dict(head, strict=False)
        return model.eval()


def write_temperature(directory: str | Path, temperature: float) -> None:
    """Set the temperature of a tagger that was saved in `directory`."""
    path = Path(directory) / "config.json"
    config = read_tagger_config(Path(directory))
    config[SECTION]["temperature"] = temperature
    write_json(path, config)


def _head_tensors(tensors: dict[str, Tensor], K: int, width: int) -> dict[str, Tensor]:
    """Return the tensors of linear layer and CRF by our names, strict in both directions.

    They are checked before a model is built, whose size the number of labels K determines.
    """
    shapes = {
        "classifier.weight": (K, width),
        "classifier.bias": (K,),
        "crf.start_transitions": (K,),
        "crf.transitions": (K, K),
        "crf.end_transitions": (K,),
    }
    found = {name for name in tensors if name.startswith(tuple(HEAD))}
    wrong = [f"{name} is missing" for name in shapes.keys() - found]
    wrong += [f"{name} is unexpected" for name in found - shapes.keys()]
    for name in shapes.keys() & found:
        tensor = tensors[name]
        if tensor.shape != shapes[name]:
            wrong.append(f"{name} is {tuple(tensor.shape)} instead of {shapes[name]}")
        elif not tensor.is_floating_point():
            wrong.append(f"{name} is of {tensor.dtype}, not floating point")
        elif not is_finite(_scores(name, tensor)):
            wrong.append(f"{name} is not finite")
    if wrong:
        raise CheckpointError("; ".join(sorted(wrong)))
    return {_inside(name): tensors[name] for name in shapes}


def _scores(name: str, tensor: Tensor) -> Tensor:
    """Return the tensor in the model's dtype, without the CRF's -inf, which rules a transition out."""
    tensor = tensor.float()
    return tensor.masked_fill(tensor == -torch.inf, 0.0) if name.startswith("crf.") else tensor


def _inside(name: str) -> str:
    """The name in `BertCRF` of a tensor of linear layer or CRF in ``model.safetensors``."""
    prefix = name[: name.index(".") + 1]
    return HEAD[prefix] + name.removeprefix(prefix)


def _outside(name: str) -> str:
    """The name in ``model.safetensors`` of a parameter of linear layer or CRF."""
    for outside, inside in HEAD.items():
        if name.startswith(inside):
            return outside + name.removeprefix(inside)
    raise KeyError(name)


def read_tagger_config(directory: Path) -> dict[str, Any]:
    """``config.json`` of a saved tagger, its section and ``classifier_dropout`` checked.

    Raises:
        FileNotFoundError: no ``config.json``.
        ConfigError: it is not of a tagger saved by this package, or a value is missing or invalid.
    """
    config = read_config(directory)
    if SECTION not in config:
        raise ConfigError(
            f"{directory} holds an encoder, not a saved tagger: its config.json has no {SECTION!r} part; "
            f"train one with: pybert-crf train … --model {directory}"
        )
    _check_section(config[SECTION], directory / "config.json")
    dropout = config.get("classifier_dropout")
    if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0.0 <= dropout <= 1.0:
        raise ConfigError(
            f"{directory / 'config.json'}: classifier_dropout must be in 0 .. 1, got {quoted(dropout)}"
        )
    return config


def _check_section(own: object, path: Path) -> None:
    """Raise ``ConfigError`` unless this is a section as `BertCRF` and `Tagger` need it."""
    where = f"{path}: {SECTION}"
    if not isinstance(own, dict):
        raise ConfigError(f"{where} must be an object, got {quoted(own)}")
    if not one_of(own.get("format"), [FORMAT]):
        raise ConfigError(
            f"{where}.format is {quoted(own.get('format'))}, but this version of pybert-crf reads {FORMAT}"
        )
    labels = own.get("labels")
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise ConfigError(f"{where}.labels must be a list of strings, at least one, got {quoted(labels)}")
    repeated = sorted({label for label, count in Counter(labels).items() if count > 1})
    if repeated:
        raise ConfigError(f"{where}.labels are repeated: {listed(repeated)}")
    if not one_of(own.get("scheme", ""), [None, *SCHEMES]):
        raise ConfigError(
            f"{where}.scheme must be null or one of {', '.join(SCHEMES)}, got {quoted(own.get('scheme'))}"
        )
    if not one_of(own.get("dtype", "float32"), [*DTYPES]):
        raise ConfigError(f"{where}.dtype must be {' or '.join(DTYPES)}, got {quoted(own['dtype'])}")
    alike = own.get("cut_alike", 1.0)
    if isinstance(alike, bool) or not isinstance(alike, int | float) or not 0.0 <= alike <= 1.0:
        raise ConfigError(f"{where}.cut_alike must be in 0 .. 1, got {quoted(alike)}")
    temperature = own.get("temperature", 1.0)
    if type(temperature) not in (int, float) or not 0.0 < temperature < math.inf:
        raise ConfigError(f"{where}.temperature must be positive and finite, got {quoted(temperature)}")
    context = own.get("context", 0)
    if isinstance(context, bool) or not isinstance(context, int) or context < 0:
        raise ConfigError(f"{where}.context must be a number of pieces from 0 up, got {quoted(context)}")
    if "unit" in own and not one_of(own["unit"], UNITS):
        raise ConfigError(f"{where}.unit must be one of {', '.join(UNITS)}, got {quoted(own['unit'])}")
