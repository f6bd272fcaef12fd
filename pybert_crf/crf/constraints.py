"""The constraints of a CRF: which tags may begin a path, follow one another and end a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Constraints(NamedTuple):
    """The legal starts, transitions and ends of the paths of a `CRF`; None allows all.

    An illegal path has probability 0, in training and decoding alike: a forbidden score counts as -inf, and
    its parameter gets no gradient.

    Attributes:
        start: (K,) bool, true if a tag may be the first.
        transitions: (K, K) bool, true at [i, j] if tag j may follow tag i.
        end: (K,) bool, true if a tag may be the last.
    """

    start: Tensor | None
    transitions: Tensor | None
    end: Tensor | None

    @classmethod
    def from_rule(
        cls, labels: tuple[str, ...], outside: str, is_legal: Callable[[str, str], bool]
    ) -> Constraints:
        """The constraints given by a rule on pairs of tags.

        Args:
            labels: the tags by index.
            outside: the tag that stands for the positions before and after a sequence.
            is_legal: whether the second tag may follow the first.
        """
        return cls(
            # On the CPU, whatever the default device is: the meta device, where transformers builds models,
            # would lose them.
            torch.tensor([is_legal(outside, tag) for tag in labels], device="cpu"),
            torch.tensor(
                [[is_legal(tag, following) for following in labels] for tag in labels], device="cpu"
            ),
            torch.tensor([is_legal(tag, outside) for tag in labels], device="cpu"),
        )


def check_constraint(name: str, allowed: Tensor, parameter: Tensor) -> Tensor:
    """Return ``allowed`` if it is bool and of the parameter's shape.

    Raises:
        ValueError: it is not; names the constraint, the expected shape and the given one.
    """
    if allowed.is_meta:
        raise ValueError(f"constraints.{name} is on the meta device, where no values are: make it on the CPU")
    if allowed.dtype != torch.bool or allowed.shape != parameter.shape:
        raise ValueError(
            f"constraints.{name} must be bool of shape {tuple(parameter.shape)}, "
            f"got {allowed.dtype} of shape {tuple(allowed.shape)}"
        )
    return allowed
