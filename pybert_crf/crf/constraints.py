"""Which tags may begin a path, follow one another and end a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Constraints(NamedTuple):
    """What the paths of a `CRF` may hold; None allows everything.

    What is forbidden has probability 0, in training and decoding alike: its score counts as -inf, and its
    parameter gets no gradient.

    Attributes:
        start: (K,) bool, true where a tag may stand first.
        transitions: (K, K) bool, true at [i, j] where tag j may follow tag i.
        end: (K,) bool, true where a tag may stand last.
    """

    start: Tensor | None
    transitions: Tensor | None
    end: Tensor | None

    @classmethod
    def from_rule(
        cls, labels: tuple[str, ...], outside: str, is_legal: Callable[[str, str], bool]
    ) -> Constraints:
        """The constraints that a rule on pairs of tags makes.

        Args:
            labels: the tags by their numbers.
            outside: the tag that both ends of a sequence count as.
            is_legal: whether the second tag may stand right after the first.
        """
        return cls(
            torch.tensor([is_legal(outside, tag) for tag in labels]),
            torch.tensor([[is_legal(tag, following) for following in labels] for tag in labels]),
            torch.tensor([is_legal(tag, outside) for tag in labels]),
        )


def check_constraint(name: str, allowed: Tensor, parameter: Tensor) -> Tensor:
    """`allowed`, if it is bool and of the parameter's shape.

    Raises:
        ValueError: it is not; tells which constraint, what was expected and what was got.
    """
    if allowed.dtype != torch.bool or allowed.shape != parameter.shape:
        raise ValueError(
            f"constraints.{name} must be bool of shape {tuple(parameter.shape)}, "
            f"got {allowed.dtype} of shape {tuple(allowed.shape)}"
        )
    return allowed
