"""The type of a family's masked-language-model head: a table, as the family itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MlmHead:
    """The form of the head, which maps hidden states to scores of all pieces, and its names in checkpoints.

    The head is a linear map to the width of the word embeddings, an activation and a LayerNorm (all three,
    or none of them if `dense` and `norm` are None), then a product with a (pieces, width) matrix, which is
    that of the word embeddings unless the checkpoint says that it is not tied, and a bias for each piece.
    """

    architecture: str  # the class of transformers that opens encoder and head
    dense: str | None  # the linear map's name in checkpoints
    norm: str | None  # the layer norm's
    decoder: str  # the matrix's; saved only if it is not tied
    bias: tuple[str, ...]  # the bias's, of which transformers has two; the one that is used comes first
    activation: str | None = None  # None: the configuration's
    norm_eps: float | None = None  # None: the configuration's

    def their_names(self, name: str) -> tuple[str, ...]:
        """Return the names in checkpoints of our parameter ``name``, in the order in which they are tried."""
        module, _, parameter = name.rpartition(".")
        names = {"dense": self.dense, "norm": self.norm}
        if module:
            return (f"{names[module]}.{parameter}",)
        return {"bias": self.bias, "decoder": (self.decoder,)}[name]

    def written_names(self, name: str, tied: bool) -> tuple[str, ...]:
        """Return the names under which our parameter ``name`` is saved, as transformers saves and expects it.

        With a tied head it saves one bias; otherwise two, which it treats as different parameters.
        """
        names = self.their_names(name)
        return names[-1:] if tied else names
