"""Masked-language models of transformers, for pretraining encoders that have no table here.

The model is the class that ``AutoModelForMaskedLM`` opens, with its own names of tensors, as what is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.encoders.adapted.encoder import AdaptedEncoder
from pybert_crf.encoders.adapted.opening import is_adapted, read_adapted
from pybert_crf.encoders.adapted.their_models import (
    body_of,
    check_tensors,
    describing,
    empty_masked_lm,
    empty_model,
    fill,
    read_their_config,
)
from pybert_crf.encoders.checkpoint import (
    CheckpointError,
    ConfigError,
    is_finite,
    naming,
    read_config,
    resolve,
    write_tensors,
)
from pybert_crf.encoders.masked_lm import MaskedLM
from pybert_crf.files import write_json
from pybert_crf.reading import listed


class AdaptedMaskedLM(nn.Module):
    """An encoder and its head for masked pieces, of transformers. Create one with `open_masked_lm`.

    Args:
        model: of transformers, with all its weights.
        values: config.json, as far as it describes the model.
        head_is_new: whether the checkpoint had no head.
        left_out: the checkpoint's tensors that belong neither to the encoder nor to the head.

    Raises:
        ConfigError: the head does not score each hidden state by itself.
    """

    def __init__(
        self,
        model: nn.Module,
        values: Mapping[str, Any],
        *,
        head_is_new: bool = False,
        left_out: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.model = model
        body: Any = model
        # In a tuple: a part of the model, whose parameters would else be listed twice.
        self._encoder = (AdaptedEncoder(body.base_model, values),)
        self.encoder.freeze_unused()
        self.head_is_new, self.left_out = head_is_new, left_out
        self._try_the_head()

    @property
    def encoder(self) -> AdaptedEncoder:
        """The encoder; its weights are those of the model."""
        return self._encoder[0]

    @classmethod
    def from_checkpoint(
        cls, values: Mapping[str, Any], tensors: Mapping[str, Tensor], *, new_head: bool = False
    ) -> AdaptedMaskedLM:
        """Build encoder and head from tensors under their transformers names.

        Raises:
            ValueError: transformers has no head for masked pieces for this type.
            ImportError, ConfigError, CheckpointError: as `AdaptedEncoder.from_checkpoint`; also for a tensor
                of the head that is missing, unless all are and `new_head` is set.
        """
        described: dict[str, Any] = describing(dict(values))
        model_type = str(values["model_type"])
        config = read_their_config(described, len(tensors))
        whole = empty_masked_lm(config)
        body, empty, part = empty_model(config)
        check_tensors(model_type, empty, body_of(body, empty, part, tensors), torch.float32)
        model, told = fill(whole, tensors, torch.float32)
        prefix = f"{whole.base_model_prefix}."
        head = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(prefix)}
        head_is_new = not head.keys() & tensors.keys()
        problems = {
            "missing": [] if head_is_new and new_head else told["missing_keys"],
            "not finite": [name for name, tensor in head.items() if not is_finite(tensor)],
        }
        if any(problems.values()):
            found = "; ".join(f"{kind}: {listed(sorted(each))}" for kind, each in problems.items() if each)
            raise CheckpointError(f"the tensors do not fit this {model_type} MLM head; {found}")
        left_out = [name for name in told["unexpected_keys"] if tensors[name].is_floating_point()]
        described["architectures"] = [type(whole).__name__]
        opened = cls(model, described, head_is_new=head_is_new, left_out=tuple(sorted(left_out)))
        return opened.train()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None, places: Tensor, targets: Tensor | None = None
    ) -> Tensor:
        """Return the scores of all pieces at the masked positions, (M, V), or the loss there.

        Arguments and results are those of `MaskedLM.forward`; the head sees the hidden states at ``places``
        alone.
        """

        def choose(module: nn.Module, arguments: Any, output: Any) -> Any:
            output.last_hidden_state = output.last_hidden_state.flatten(0, 1).index_select(0, places)[None]
            return output

        hook = self.encoder.model.register_forward_hook(choose)
        try:
            scores: Tensor = self.model(**self.encoder.inputs(input_ids, attention_mask)).logits[0]
        finally:
            hook.remove()
        return scores if targets is None else F.cross_entropy(scores.float(), targets)

    def save_pretrained(self, directory: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which ``AutoModelForMaskedLM`` opens."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        model: Any = self.model
        tied = getattr(model, "all_tied_weights_keys", {})
        tensors = {name: each for name, each in self.model.state_dict().items() if name not in tied}
        write_tensors(directory, tensors)
        write_json(directory / "config.json", self.encoder.config_to_json())

    @torch.no_grad()
    def _try_the_head(self) -> None:
        ids, places = torch.arange(6)[None] % self.encoder.config.vocab_size, torch.tensor([1, 4])
        try:
            every: Tensor = self.model(**self.encoder.inputs(ids, None)).logits[0]
            good = torch.allclose(self(ids, None, places), every[places], rtol=1e-3, atol=1e-4)
        except Exception:  # a class that takes or gives something else fails in its own way
            good = False
        if not good:
            raise ConfigError(
                f"{type(self.model).__name__} of transformers does not score each piece by itself"
            )


AnyMaskedLM: TypeAlias = MaskedLM | AdaptedMaskedLM


def open_masked_lm(
    name_or_dir: str | Path,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    new_head: bool = False,
) -> AnyMaskedLM:
    """Open encoder and head of any type: ours by `MaskedLM.from_pretrained`, others through transformers.

    Arguments are those of `MaskedLM.from_pretrained`, as are the errors raised.

    Raises:
        ValueError: the type has no head for masked pieces.
        ImportError: the type needs transformers, which is not installed.
    """
    directory = resolve(name_or_dir, revision=revision, local_files_only=local_files_only)
    with naming(directory):
        values = read_config(directory)
        if is_adapted(values):
            return AdaptedMaskedLM.from_checkpoint(values, read_adapted(directory, values), new_head=new_head)
    return MaskedLM.from_pretrained(directory, new_head=new_head)
