"""What a family's masked-language-model head is: a table of data, as the family itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MlmHead:
    """How a family turns a hidden state into scores of all pieces, and how checkpoints spell it.

    The head is a linear map to the width of the word embeddings, an activation and a layer norm (all three,
    or none where `dense` and `norm` are None), then a product with a (pieces, width) matrix, which is that of
    the word embeddings unless the checkpoint says that it is not tied, and a bias for each piece.
    """

    architecture: str  # the class of transformers that opens encoder and head
    dense: str | None  # the linear map's name in checkpoints
    norm: str | None  # the layer norm's
    decoder: str  # the matrix's; it is written only where it is not tied
    bias: tuple[str, ...]  # the bias, which is there twice in transformers; what acts comes first
    activation: str | None = None  # None: the configuration's
    norm_eps: float | None = None  # None: the configuration's

    def their_names(self, name: str) -> tuple[str, ...]:
        """Return the spellings in checkpoints of our parameter ``name``, the first to be read first."""
        module, _, parameter = name.rpartition(".")
        names = {"dense": self.dense, "norm": self.norm}
        if module:
            return (f"{names[module]}.{parameter}",)
        return {"bias": self.bias, "decoder": (self.decoder,)}[name]

    def written_names(self, name: str, tied: bool) -> tuple[str, ...]:
        """Return the names under which to save our parameter ``name``: as transformers does, and looks for.

        It saves one bias where the head is tied, and two, which it takes for different ones, where it is not.
        """
        names = self.their_names(name)
        return names[-1:] if tied else names
