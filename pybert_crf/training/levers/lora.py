"""LoRA of a tagger's encoder (Hu et al., 2022): which layers, and what it is saved over."""

from __future__ import annotations

from pathlib import Path

from pybert_crf.encoders import Base, CheckpointError, Plan, adapt, checksum, read_tensors, resolve
from pybert_crf.options import TrainOptions
from pybert_crf.taggers.tagger import Tagger


def add_lora(tagger: Tagger, options: TrainOptions) -> tuple[str, ...]:
    """Freeze the encoder and put low-rank layers into it; a note on them, if they are wanted.

    Raises:
        ImportError: peft is not installed.
        ValueError: `options.lora_target` names no layer.
    """
    if not options.lora_rank:
        return ()
    alpha = options.lora_alpha or 2.0 * options.lora_rank
    plan = Plan(options.lora_rank, alpha, options.lora_dropout, options.files("lora_target"))
    layers = adapt(tagger.model.encoder, plan)
    told = f"LoRA of rank {plan.rank} beside {len(layers)} linear layers"
    return (f"{told}; the encoder's own weights are frozen",)


def lora_base(options: TrainOptions) -> Base | None:
    """What a tagger is saved over; None if it is saved whole.

    Raises:
        CheckpointError: the encoder to start from holds LoRA's weights alone.
    """
    if options.lora_save == "merged":
        return None
    directory = resolve(options.model, revision=options.revision)
    try:
        tensors = read_tensors(directory)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"lora_save = adapter needs a model with weights of its own, and {directory} holds LoRA's alone: "
            "train over its base, or with lora_save = merged"
        ) from error
    here = Path(options.model).expanduser()
    return Base(str(here.resolve()) if here.is_dir() else options.model, options.revision, checksum(tensors))
