"""What the adapter asks of the package transformers: a model without memory, its names, and its weights."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pybert_crf.encoders.checkpoint import CheckpointError, ConfigError, is_finite
from pybert_crf.encoders.config.checks import MAX_LAYERS, MAX_POSITIONS, MAX_SIZE
from pybert_crf.encoders.families import FAMILIES
from pybert_crf.reading import listed, quoted, shortened

_MAX_BUFFERS = 1 << 28  # numbers in tables that are computed, not stored

# Entries of config.json that say how others loaded or used the model, and may name code on a hub.
_NOT_THE_MODEL = {"auto_map", "custom_pipelines", "transformers_version", "dtype", "torch_dtype"}
_NOT_THE_MODEL |= {"fusion_config", "use_kernels", "id2label", "label2id", "num_labels", "problem_type"}
_NOT_THE_MODEL |= {"pybert_crf", "output_hidden_states", "output_attentions", "return_dict"}
_NOT_THE_MODEL |= {"use_return_dict", "pruned_heads"}

# First parts of the names of heads, and of what only a decoder has; and tables that older files contain.
_HEADS = {"classifier", "crf", "lm_head", "score", "qa_outputs", "head", "decoder", "cls", "pooler"}
_HEADS |= {"lm_loss", "generator_predictions", "discriminator_predictions", "entity_predictions"}
_HEADS |= {"final_logits_bias", "classification_head", "multiple_choice_head", "projection", "out_proj"}
_TABLES = re.compile(r".*\b(attn\.bias|attention\.bias|masked_bias|inv_freq|position_ids|embed_positions)")


def describing(values: Any) -> Any:
    """A config.json, and what is nested in it, without what does not describe the model."""
    if isinstance(values, list):
        return [describing(value) for value in values]
    if not isinstance(values, dict):
        return values
    return {
        key: describing(value)
        for key, value in values.items()
        if key not in _NOT_THE_MODEL and not key.startswith("_") and "implementation" not in key
    }


def library(model_type: str) -> Any:
    """The package transformers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its import warns of packages of its own
            import transformers
    except ImportError as error:
        raise ImportError(
            f"an encoder of type {quoted(model_type)} needs the package transformers: "
            "pip install 'pybert-crf[transformers]'"
        ) from error
    if int(transformers.__version__.partition(".")[0]) < 5:
        raise ImportError(
            f"an encoder of type {quoted(model_type)} needs transformers 5 or later, not "
            f"{transformers.__version__}: pip install --upgrade 'pybert-crf[transformers]'"
        )
    return transformers


def read_their_config(values: Mapping[str, Any], count: int) -> Any:
    """The configuration object of transformers, its sizes bounded; ``count`` tensors are there."""
    model_type = str(values["model_type"])
    transformers = library(model_type)
    if model_type not in transformers.CONFIG_MAPPING:
        raise ConfigError(
            f"config.json: unknown model_type {quoted(model_type)}; known: {', '.join(sorted(FAMILIES))} and "
            f"the text models of transformers {transformers.__version__}"
        )
    if values.get("quantization_config") is not None:
        raise ConfigError("config.json: quantization_config: quantised weights are not read")
    _check_sizes(values, count)
    try:
        config = transformers.AutoConfig.for_model(**values)
        config.use_cache = False
    except Exception as error:  # its checks raise all kinds
        raise ConfigError(f"config.json: {_reason(error)}") from error
    return config


def _check_sizes(values: Mapping[str, Any], count: int) -> None:
    """Refuse sizes far above every published model, and more layers than tensors."""
    for key, value in values.items():
        limit = MAX_LAYERS if "decoder" in key or "window" in key else count
        if "layer" in key and isinstance(value, int) and value > limit:
            raise CheckpointError(
                f"config.json: {shortened(key)} is {quoted(value)}, but there are only {count} tensors"
            )
        if isinstance(value, int) and "theta" not in key and abs(value) > MAX_SIZE:
            raise ConfigError(
                f"config.json: {shortened(key)} must be at most {MAX_SIZE}, got {quoted(value)}"
            )
        inside = [value]
        while inside:
            item = inside.pop()
            if isinstance(item, list):
                inside += item
            elif isinstance(item, dict):  # its integers are of any size, as a rope's theta
                inside += [each for each in item.values() if not isinstance(each, int)]
            elif isinstance(item, float) and not math.isfinite(item):
                raise ConfigError(f"config.json: {shortened(key)} contains {item}")
            elif isinstance(item, int) and item is not value and abs(item) > MAX_POSITIONS:
                raise ConfigError(f"config.json: {shortened(key)} contains {quoted(item)}")


def empty_model(config: Any) -> tuple[Any, Any, str]:
    """The whole model and the part that is the encoder, both without memory, and the part's prefix."""
    transformers = library(config.model_type)
    try:
        kind = transformers.MODEL_MAPPING[type(config)]
        kind = kind[0] if isinstance(kind, tuple | list) else kind
        with torch.device("meta"):
            whole = kind(config, **_without_pooler(kind))
        part = "encoder." if config.is_encoder_decoder else ""
        empty = whole.get_encoder() if part else whole
    except Exception as error:  # no model of this configuration, or values that its class cannot take
        raise ConfigError(f"config.json: transformers builds no encoder of it: {_reason(error)}") from error
    embeddings_of(empty)
    if sum(buffer.numel() for buffer in empty.buffers()) > _MAX_BUFFERS:
        raise ConfigError("config.json: the tables of positions would be larger than any known model's")
    return whole, empty, part


def empty_masked_lm(config: Any) -> Any:
    """The model with its head for masked pieces, without memory; raises ``ValueError`` if it has none."""
    transformers = library(config.model_type)
    kinds = transformers.MODEL_FOR_MASKED_LM_MAPPING
    if config.is_encoder_decoder or type(config) not in kinds:
        raise ValueError(
            f"model must be an encoder with a head for masked pieces; {config.model_type} of transformers is "
            f"{'an encoder-decoder' if config.is_encoder_decoder else 'none'}, which pretrain does not train"
        )
    try:
        with torch.device("meta"):
            return kinds[type(config)](config)
    except Exception as error:
        raise ConfigError(f"config.json: transformers builds no MLM of it: {_reason(error)}") from error


def body_of(whole: Any, empty: Any, part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the encoder by its own names; those of heads and decoders are left out."""
    prefix = prefix_of(whole)
    inside = bool(prefix) and any(name.startswith(prefix) for name in tensors)
    expected = empty.state_dict().keys()
    body: dict[str, Tensor] = {}
    for full_name, tensor in tensors.items():
        name = full_name.removeprefix(prefix) if inside else full_name
        is_head = name.partition(".")[0] in _HEADS
        if part and name == "shared.weight":
            body.setdefault("embed_tokens.weight", tensor)
            continue
        name = name.removeprefix(part)
        if name in expected:
            body[name] = tensor
        elif not is_head and not _TABLES.fullmatch(name):
            body[full_name] = tensor
    return body


def check_tensors(model_type: str, empty: Any, given: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Raise one ``CheckpointError`` naming every tensor that does not fit."""
    expected = empty.state_dict()
    missing = sorted(expected.keys() - given.keys())
    unexpected = sorted(given.keys() - expected.keys())
    wrong: list[str] = []
    for name, tensor in sorted(given.items()):
        ours = expected.get(name, tensor)
        if tensor.shape != ours.shape:
            wrong.append(f"{name} is {tuple(tensor.shape)}, not {tuple(ours.shape)}")
        elif tensor.is_floating_point() != ours.is_floating_point():
            wrong.append(f"{name} is of {tensor.dtype}")
        elif tensor.is_floating_point() and not is_finite(tensor.to(dtype)):
            wrong.append(f"{name} is not finite in {dtype}")
    if not wrong and _are_renamed(model_type, expected, given):
        return  # transformers compares them when it has renamed them
    problems = {"missing": missing, "unexpected": unexpected, "wrong": wrong}
    if any(problems.values()):
        found = "; ".join(f"{kind}: {listed(names)}" for kind, names in problems.items() if names)
        raise CheckpointError(f"the tensors do not fit this {model_type} encoder; {found}")


def _are_renamed(model_type: str, expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> bool:
    """Whether transformers stores this type under other names than its class has, and nothing can be missing.

    What is missing would get memory before it is noticed: there must be as many numbers as are needed.
    """
    import transformers.conversion_mapping as conversion

    renames: Any = conversion.get_checkpoint_conversion_mapping  # has no types
    needed, found = (sum(tensor.numel() for tensor in tensors.values()) for tensors in (expected, given))
    return needed <= found and renames(model_type) is not None


def fill(
    empty: Any, given: Mapping[str, Tensor], dtype: torch.dtype
) -> tuple[nn.Module, dict[str, list[str]]]:
    """The model with these weights, in evaluation mode, and the names that are missing or unexpected.

    transformers itself computes the tables that no file holds.
    """
    logging = library(empty.config.model_type).utils.logging
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what is missing is for the caller to tell
    try:
        model, told = type(empty).from_pretrained(
            None,
            config=empty.config,
            state_dict=dict(given),
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **_without_pooler(type(empty)),
        )
    except Exception as error:
        raise CheckpointError(f"transformers cannot load the tensors: {_reason(error)}") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    if told["mismatched_keys"]:
        wrong = [
            f"{name} is {tuple(found)}, not {tuple(ours)}" for name, found, ours in told["mismatched_keys"]
        ]
        raise CheckpointError(f"the tensors do not fit; wrong: {listed(sorted(wrong))}")
    names = {kind: sorted(map(str, told[kind])) for kind in ("missing_keys", "unexpected_keys")}
    return model.eval(), names


def _without_pooler(kind: type) -> dict[str, bool]:
    """The argument by which a class of transformers is built without a pooler, if it has one."""
    options = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    return {"add_pooling_layer": False} if "add_pooling_layer" in options else {}


def embeddings_of(model: nn.Module) -> nn.Embedding:
    """The table of a model's word embeddings; raises ``ConfigError`` if it has none."""
    theirs: Any = model
    try:
        table = theirs.get_input_embeddings()
    except Exception:  # NotImplementedError, AttributeError: as the class has it
        table = None
    if not isinstance(table, nn.Embedding):
        raise ConfigError(f"{type(model).__name__} of transformers has no embeddings of pieces")
    return table


def prefix_of(model: Any) -> str:
    """What precedes a model's names in the checkpoint of a larger one, as "roberta."; often nothing."""
    name = str(model.base_model_prefix or "")
    return f"{name}." if name else ""


def _reason(error: Exception) -> str:
    """The first line of a library's message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shortened(" ".join(lines[:3])) if lines else type(error).__name__
