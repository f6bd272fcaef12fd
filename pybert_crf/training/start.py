"""What a run starts from: new encoder and tokenizer, or those of a checkpoint; and the checkpoint's head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pybert_crf.encoders import (
    AdaptedConfig,
    AnyEncoder,
    Encoder,
    EncoderConfig,
    read_config,
    read_tensors,
    resolve,
)
from pybert_crf.model import DTYPES, SECTION, BertCRF
from pybert_crf.options import RunOptions, TrainOptions
from pybert_crf.reading import listed
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.context import neighbourhood
from pybert_crf.text.corpora import Corpus, converted
from pybert_crf.text.tagging.schemes import OUTSIDE, PLAIN, role
from pybert_crf.text.tokenizer import UnitTokenizer

if TYPE_CHECKING:
    from pybert_crf.training.corpora import Corpora


def new_tokenizer(sequences: Iterable[Sequence[str]], unit: str, options: RunOptions) -> UnitTokenizer:
    """A tokenizer with a vocabulary built from the units of the training text."""
    return UnitTokenizer.build(
        sequences,
        unit,
        size=options.vocab_size,
        min_count=options.min_count,
        lowercase=options.lowercase,
    )


def new_encoder(tokenizer: UnitTokenizer, options: RunOptions) -> Encoder:
    """An encoder with random weights, of the size that `options.model` names."""
    return Encoder.from_size(options.model, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id)


def check_vocabulary(
    tokenizer: UnitTokenizer, config: EncoderConfig | AdaptedConfig, options: RunOptions
) -> None:
    """Check that a checkpoint's encoder has an embedding for each piece of its tokenizer.

    Raises:
        ValueError: it has not.
    """
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"{options.model}: its tokenizer has {tokenizer.vocab_size} pieces, "
            f"its encoder only {config.vocab_size}"
        )


def check_attention(encoder: AnyEncoder, options: TrainOptions) -> None:
    """Check that a checkpoint's encoder attends as `options.attention` says, if it does.

    Raises:
        ValueError: the encoder does not allow it.
    """
    if options.bidirectional not in (None, encoder.bidirectional):
        other = "both" if encoder.bidirectional else "causal"
        raise ValueError(f"attention must be {other} for {options.model} ({encoder.description})")


def encoder_dtype(directory: Path, options: TrainOptions) -> torch.dtype:
    """The type for a checkpoint's weights: `options.dtype`, or else a saved tagger's, or float32."""
    own = read_config(directory).get(SECTION)
    saved = own.get("dtype", "float32") if isinstance(own, dict) else "float32"
    return DTYPES.get(options.dtype or str(saved), torch.float32)


def wanted_context(options: TrainOptions) -> int:
    """Pieces of context on either side: those of `options`, or else a saved tagger's."""
    if options.context is not None or options.from_scratch:
        return options.context or 0
    own = read_config(resolve(options.model, revision=options.revision)).get(SECTION)
    return int(own.get("context", 0)) if isinstance(own, dict) else 0


def context_notes(corpora: Corpora, context: int, options: TrainOptions) -> tuple[str, ...]:
    """What is read around the sentences by a tagger with this `context`, in a line for each fact."""
    if not context:
        off = "train: no borders of documents, so that document context is off: see --documents"
        return (off,) if wanted_context(options) else ()
    told = f"train: {neighbourhood(context)} on either side of each"
    without = [name for name, corpus in corpora.parts.items() if not corpus.has_documents]
    if corpora.untagged.texts:
        without.append("text")
    return (
        f"{told} are read with it",
        *(f"{name}: no borders of documents, so that each sentence is read alone" for name in without),
    )


def low_precision_note(encoder: AnyEncoder) -> tuple[str, ...]:
    """What who trains weights in bfloat16 should know."""
    if not any(each.requires_grad and each.dtype == torch.bfloat16 for each in encoder.parameters()):
        return ()
    told = "the encoder is trained in bfloat16, which loses updates below 1/256 of a weight"
    return (f"{told}: see --lora-rank, --freeze and --precision",)


class Head(NamedTuple):
    """Labels and weights above the encoder of a checkpoint: of a saved tagger, or a token classifier.

    Attributes:
        labels: in the order of their numbers.
        scheme, unit: of a saved tagger, else None.
        tensors: by their names in `BertCRF`: linear layer and, of a saved tagger, CRF.
    """

    labels: tuple[str, ...]
    scheme: str | None
    unit: str | None
    tensors: Mapping[str, Tensor]

    def merge_labels(self, wanted: Sequence[str], scheme: str) -> list[str]:
        """The labels of the training data, `wanted`, and those of this head that are of the same types."""
        types = {role(label, scheme)[1] for label in wanted}
        known = [label for label in self.labels if _type_of(label, scheme) in types]
        labels = list(dict.fromkeys([*known, *wanted]))
        return sorted(labels, key=lambda label: label != OUTSIDE)  # O first, if there is one

    @torch.no_grad()
    def copy_to(self, model: BertCRF) -> None:
        """Give the weights of all labels that this head shares with `model` to it."""
        shared = [label for label in model.labels if label in self.labels]
        new = torch.tensor([model.labels.index(label) for label in shared])
        old = torch.tensor([self.labels.index(label) for label in shared])
        for name, parameter in model.named_parameters():
            if name == "crf.transitions" and name in self.tensors:
                parameter[new[:, None], new] = self.tensors[name][old[:, None], old].to(parameter.dtype)
            elif name in self.tensors:
                parameter[new] = self.tensors[name][old].to(parameter.dtype)

    def note(self, name: str, labels: Sequence[str]) -> str:
        """What becomes of the head of the checkpoint `name` in a tagger with `labels`."""
        kept = sum(label in self.labels for label in labels)
        added = [label for label in labels if label not in self.labels]
        dropped = [label for label in self.labels if label not in labels]
        parts = [f"training goes on with the head of {name}: {kept} tags are kept"]
        parts += [f"new: {_some(added)}"] if added else []
        parts += [f"dropped, since train never shows their types: {_some(dropped)}"] if dropped else []
        return "; ".join(parts)


def labels_of(
    train: Corpus, options: TrainOptions, head: Head | None, teacher: Tagger | None
) -> tuple[Sequence[str], str]:
    """The labels, in the order of their numbers, and the scheme of the tagger to train.

    Args:
        train: the training data, which may be empty if there is a teacher.
        head: of the checkpoint to start from, or None.

    Raises:
        CorpusError: train cannot be converted to the scheme of the saved tagger to start from.
        ValueError: that tagger has other labels, or another scheme, than the teacher.
    """
    if teacher is not None:
        if head is not None and head.scheme is not None:
            own = sorted(set(head.labels) ^ set(teacher.labels))
            if own or head.scheme != teacher.scheme:
                told = f"labels that only one of them has: {listed(own)}" if own else "another scheme"
                both = f"{options.model} must have the labels and scheme of its teacher {options.teacher}"
                raise ValueError(f"{both}: {told}")
        return teacher.labels, teacher.scheme
    scheme = train.scheme if head is None else head.scheme or train.scheme
    labels = converted(train, scheme).labels
    return labels if head is None else head.merge_labels(labels, scheme), scheme


def read_head(directory: Path) -> Head | None:
    """The head in a checkpoint's directory; None if it has an encoder alone, or a head for another task.

    Raises:
        CheckpointError, ConfigError, FileNotFoundError: files that cannot be read or do not fit together.
    """
    config = read_config(directory)
    if SECTION in config:
        model = BertCRF.from_pretrained(directory)
        own = {name: value for name, value in model.state_dict().items() if not name.startswith("encoder.")}
        return Head(model.labels, model.scheme or PLAIN, config[SECTION]["unit"], own)
    architectures, names = config.get("architectures"), config.get("id2label")
    if not isinstance(architectures, list) or not isinstance(names, dict):
        return None
    if not any(str(each).endswith("ForTokenClassification") for each in architectures):
        return None
    stored = read_tensors(directory)
    if not {"classifier.weight", "classifier.bias"} <= stored.keys():
        return None
    labels = tuple(str(names.get(str(i), i)) for i in range(len(stored["classifier.bias"])))
    return Head(labels, None, None, {f"linear.{each}": stored[f"classifier.{each}"] for each in _LINEAR})


_LINEAR = ("weight", "bias")


def _type_of(label: str, scheme: str) -> str | None:
    """The type of a label; None if it is none of the scheme's, as LABEL_0."""
    try:
        return role(label, scheme)[1]
    except ValueError:
        return None


def _some(labels: Sequence[str]) -> str:
    return ", ".join(label[:20] for label in labels[:5]) + (", …" if len(labels) > 5 else "")
