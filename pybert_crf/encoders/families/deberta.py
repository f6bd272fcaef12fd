"""DeBERTa (He et al., 2021), versions 1 and 2; version 3 (He et al., 2023) is "deberta-v2" as well."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pybert_crf.encoders.families.bert import (
    BODY_HEADS,
    CONFIG_KEYS,
    EMBEDDING_RENAMES,
    FEED_FORWARD_RENAMES,
    MLM_HEAD,
    NORM_RENAMES,
)
from pybert_crf.encoders.families.family import HEADS, Family, Key, Rename
from pybert_crf.reading import quoted


@dataclass(frozen=True)
class TermsKey(Key):
    """The key of `position_terms`: a list or, as the authors write it, names separated by ``|``."""

    def read(self, theirs: object) -> object:
        if isinstance(theirs, str):
            theirs = [name.strip() for name in theirs.lower().split("|")]
        if theirs is None or isinstance(theirs, list | tuple):
            return tuple(theirs or ())
        raise ValueError(f"{self.name} must be a list or names separated by |, got {quoted(theirs)}")

    def write(self, ours: object) -> object:
        return list(ours) if isinstance(ours, tuple) and ours else None


_SELF = "encoder.layer.{}.attention.self"

_CONFIG_KEYS: dict[str, str | Key] = {
    **CONFIG_KEYS,
    "embeddings.size": "embedding_size",
    "embeddings.positions": Key("position_biased_input", {True: "learned", False: "none"}),
    "disentangled.relative_positions": "relative_attention",
    "disentangled.position_terms": TermsKey("pos_att_type", {}),
    "disentangled.max_distance": "max_relative_positions",
}
_DEFAULTS = {"embeddings.num_segments": 0, "norms.eps": 1e-7}
_HEADS = (
    *HEADS,
    *BODY_HEADS,
    "cls.*",  # the masked-language-model head under its older name
    "lm_predictions.*",  # and under its newer one
    "mask_predictions.*",  # version 3's discriminator
)
_TIED = {"embeddings.word_embeddings.weight": "cls.predictions.decoder.weight"}
# Some checkpoints contain position embeddings that their configuration does not use.
_IDLE = ("embeddings.position_embeddings.weight",)

_RENAMES = (
    *EMBEDDING_RENAMES,
    Rename("embeddings.projection", ("embeddings.embed_proj",)),
    Rename("context.embedding", ("encoder.rel_embeddings",)),
    Rename("layers.{}.attention.out", ("encoder.layer.{}.attention.output.dense",)),
    *FEED_FORWARD_RENAMES,
    *NORM_RENAMES,
)

DEBERTA = Family(
    model_type="deberta",
    architecture="DebertaModel",
    prefix="deberta.",
    config_keys={**_CONFIG_KEYS, "disentangled.talking_heads": "talking_head"},
    constants={
        "attention.kind": "disentangled",
        "embeddings.project_first": True,
        "attention.key_bias": False,
        "attention.qkv_by_head": True,
    },
    defaults=_DEFAULTS,
    renames=(
        *_RENAMES,
        Rename("layers.{}.attention", (_SELF,)),  # the biases of queries and values
        Rename("layers.{}.attention.qkv", (f"{_SELF}.in_proj",)),
        Rename("layers.{}.attention.position_key", (f"{_SELF}.pos_proj",)),
        Rename("layers.{}.attention.position_query", (f"{_SELF}.pos_q_proj",)),
        Rename("layers.{}.attention.mix_scores", (f"{_SELF}.head_logits_proj",)),
        Rename("layers.{}.attention.mix_weights", (f"{_SELF}.head_weights_proj",)),
    ),
    heads=_HEADS,
    tied=_TIED,
    mlm_head=replace(MLM_HEAD, architecture="DebertaForMaskedLM"),
    idle=_IDLE,
)

DEBERTA_V2 = Family(
    model_type="deberta-v2",
    architecture="DebertaV2Model",
    prefix="deberta.",
    config_keys={
        **_CONFIG_KEYS,
        "disentangled.position_buckets": "position_buckets",
        "disentangled.relative_norm": Key("norm_rel_ebd", {"none": False, "layer_norm": True}),
        "disentangled.share_projections": "share_att_key",
        "convolution.kernel_size": "conv_kernel_size",
        "convolution.groups": "conv_groups",
        "convolution.activation": "conv_act",
    },
    constants={"attention.kind": "disentangled", "embeddings.project_first": True},
    defaults=_DEFAULTS,
    renames=(
        *_RENAMES,
        Rename("context.norm", ("encoder.LayerNorm",)),
        Rename(
            "layers.{}.attention.qkv", (f"{_SELF}.query_proj", f"{_SELF}.key_proj", f"{_SELF}.value_proj")
        ),
        Rename("layers.{}.attention.position_key", (f"{_SELF}.pos_key_proj",)),
        Rename("layers.{}.attention.position_query", (f"{_SELF}.pos_query_proj",)),
        Rename("layers.{}.convolution.conv", ("encoder.conv.conv",)),
        Rename("layers.{}.convolution.norm", ("encoder.conv.LayerNorm",)),
    ),
    heads=_HEADS,
    tied=_TIED,
    mlm_head=replace(MLM_HEAD, architecture="DebertaV2ForMaskedLM"),
    idle=_IDLE,
)
