"""A tagger as an archive of ``torch.export`` (``.pt2``): the same graph as in ONNX, for torch itself."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.crf import library
from pybert_crf.crf.problem import Chain
from pybert_crf.export.emissions import DYNAMIC, Emissions, check_samples, quiet, reason, trace_sample
from pybert_crf.taggers.archive_tagger import SETTINGS
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.schemes import continues

_TOLERANCE = 1e-4  # of emissions, relative to the greatest


class Whole(nn.Module):
    """The graph that `pybert_crf.export` describes; the CRF's recursions are ops of this package."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        crf, scheme, labels = tagger.model.crf, tagger.scheme, tagger.labels
        self.emissions = Emissions(tagger.model)
        for name in ("start", "transitions", "end"):
            self.register_buffer(name, crf._scores(name).detach().float())
        self.temperature = tagger.temperature
        ending = [[not continues(a, b, scheme) for b in labels] for a in labels]
        self.register_buffer("ending", torch.tensor(ending, dtype=torch.float64))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, first: Tensor, mask: Tensor, carried: Tensor
    ) -> tuple[Tensor, ...]:
        """Return pieces, tags, scores, given_next and closing."""
        pieces, emissions = self.emissions(input_ids, attention_mask, first, carried)
        parameters: Any = (self.start, self.transitions, self.end)
        chain = Chain(emissions, mask, *parameters)
        tags, scores = torch.ops.pybert_crf.viterbi(*chain, library.AUTO)
        if self.temperature != 1.0:
            emissions, *parameters = (each / self.temperature for each in (emissions, *parameters))
            chain = Chain(emissions, mask, *parameters)
        return pieces, tags, scores, *self._factors(chain.widened(), tags)

    def _factors(self, chain: Chain, tags: Tensor) -> tuple[Tensor, Tensor]:
        """``given_next`` and ``closing`` (B, T) of rows whose masked positions follow the unmasked ones."""
        ones = chain.emissions.new_ones(chain.emissions.shape[0])
        alphas = torch.ops.pybert_crf.log_alphas(*chain, library.AUTO)  # (B, T, K)
        marginals = torch.ops.pybert_crf.value_and_gradient(ones, None, *chain, library.AUTO)[1]
        tags = tags.clamp(min=0)
        # At [b, t, j] the probability of the tag at t, given tag j at t + 1.
        totals = torch.stack([(alphas + into).logsumexp(2) for into in chain.transitions.unbind(1)], 2)
        from_tag = alphas.gather(2, tags[:, :, None]) + chain.transitions[tags]
        given = (from_tag - totals).exp().nan_to_num(0.0)  # of a tag j that cannot stand at t + 1

        has_next = F.pad(chain.mask, (0, 1))[:, 1:]
        next_tag = F.pad(tags, (0, 1))[:, 1:]
        next_marginals = F.pad(marginals, (0, 0, 0, 1))[:, 1:]
        ending: Any = self.ending
        closed = (given * next_marginals * ending[tags]).sum(2)
        alone = marginals.gather(2, tags[:, :, None])[:, :, 0]
        given_next = torch.where(has_next, given.gather(2, next_tag[:, :, None])[:, :, 0], 1.0)
        return given_next * chain.mask, torch.where(has_next, closed, alone) * chain.mask


def write_archive(tagger: Tagger, path: Path, settings: dict[str, Any], say: Callable[[str], None]) -> None:
    """Write the archive, with `settings` in it.

    Raises:
        ValueError: torch cannot express the encoder, or the result computes something else.
    """
    kind = tagger.model.encoder.config.model_type
    whole = Whole(tagger).eval()
    ids, attention, first, carried = trace_sample(tagger.model)
    given = (ids, attention, first, torch.ones_like(first, dtype=torch.bool), carried)
    windows, length, units, more = DYNAMIC
    try:
        with torch.no_grad(), quiet():
            shapes = (windows, length, units, units, more)
            program = torch.export.export(whole, given, dynamic_shapes=shapes, strict=False)
            buffer = io.BytesIO()  # by the name of a file torch would check how it ends
            text = json.dumps(settings, ensure_ascii=False)
            torch.export.save(program, buffer, extra_files={SETTINGS: text})
        path.write_bytes(buffer.getvalue())
    except Exception as error:  # whatever torch, or the encoder while it is traced, raises
        raise ValueError(
            f"an encoder of type {kind!r} cannot be exported by torch.export: {reason(error)}"
        ) from error
    say(f"checked: emissions differ by {_difference(program, whole, kind):.1e} of the greatest")


def _difference(program: Any, whole: Whole, kind: str) -> float:
    """The greatest difference between emissions of archive and model, relative to the greatest one."""
    run, worst = program.module(), 0.0
    for ids, attention, first, carried in check_samples(whole.emissions):
        given = (ids, attention, first, torch.ones_like(first, dtype=torch.bool), carried)
        try:
            with torch.no_grad():
                got, expected = run(*given)[0], whole(*given)[0]
        except Exception as error:
            raise ValueError(
                f"an encoder of type {kind!r} is exported for some sizes only: {reason(error)}"
            ) from error
        worst = max(worst, float((got - expected).abs().max() / expected.abs().max()))
    if not worst <= _TOLERANCE:
        raise ValueError(
            f"an encoder of type {kind!r} computes something else once exported: emissions differ by "
            f"{worst:.1e} of the greatest"
        )
    return worst
