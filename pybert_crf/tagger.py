"""The tagger: a model, its tokenizer and its tag scheme as one object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from pybert_crf.annotator import Annotator
from pybert_crf.batches import collate
from pybert_crf.decoding import EntityDecoder
from pybert_crf.encoders import Base, ConfigError, resolve, spread
from pybert_crf.entities import Tagging
from pybert_crf.examples import Example
from pybert_crf.files import write_text
from pybert_crf.model import SECTION, BertCRF, read_tagger_config
from pybert_crf.reading import quoted, read_text, shortened
from pybert_crf.text.tagging.schemes import PLAIN
from pybert_crf.text.tokenizer import UnitTokenizer

WORDS = "words.txt"
"""The file of a saved word segmenter that holds the words it was trained on, one a line."""


class Tagger(Annotator):
    """Finds entities in text.

    An entity's score is the exact posterior probability, under the CRF, that its units carry just these
    tags and that the unit after it does not continue it.

    Args:
        model: encoder, linear layer and CRF. If its labels are plain tags, without a scheme, each unit makes
            an entity whose label is its tag.
        tokenizer: pieces of units.
        unit: ``"char"`` or ``"word"``, what one tag stands for.
        cut_alike: the share of the training sentences whose raw text is cut into just their units.
        words: of a word segmenter, the words that it was trained on; evaluation tells them from unseen ones.
    """

    def __init__(
        self,
        model: BertCRF,
        tokenizer: UnitTokenizer,
        unit: str,
        *,
        cut_alike: float = 1.0,
        words: frozenset[str] = frozenset(),
    ) -> None:
        scheme, length = model.scheme or PLAIN, model.encoder.config.max_length
        super().__init__(tokenizer, unit, model.labels, scheme, length, cut_alike=cut_alike, words=words)
        self.model = model.eval()
        self._decoder = EntityDecoder(model.labels, self.scheme)

    @classmethod
    def from_pretrained(
        cls,
        name_or_directory: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> Tagger:
        """Load a saved tagger from a directory, or from the hub by name.

        `device` may be "auto": the encoder is spread over all GPUs, and what does not fit there over memory
        and disk. `dtype` is that of the encoder's weights, by default the one that they were saved in.

        Raises:
            FileNotFoundError: the directory, or one of its files, is missing.
            ConfigError, CheckpointError: the files are not of a tagger saved by this package, or damaged.
            ValueError: `device` cannot be used.
        """
        place = None if device == "auto" else _usable(device)
        directory = resolve(name_or_directory, revision=revision, local_files_only=local_files_only)
        own = read_tagger_config(directory)[SECTION]
        for name in ("unit", "scheme"):
            if name not in own:
                raise ConfigError(f"{directory / 'config.json'}: {SECTION}.{name} is missing: no entities")
        tokenizer = UnitTokenizer.from_directory(directory, own["unit"])
        model = BertCRF.from_pretrained(directory, local_files_only=local_files_only, dtype=dtype)
        if tokenizer.vocab_size > model.encoder.config.vocab_size:
            raise ConfigError(
                f"{directory}: its tokenizer has {tokenizer.vocab_size} pieces, "
                f"its encoder only {model.encoder.config.vocab_size}"
            )
        has_words = (directory / WORDS).exists()
        words = frozenset(read_text(directory / WORDS).split()) if has_words else frozenset()
        alike = own.get("cut_alike", 1.0)
        if place is None:
            place = spread(model.encoder)
            model.linear.to(place)
            model.crf.to(place)
        else:
            model.to(place)
        return cls(model, tokenizer, own["unit"], cut_alike=alike, words=words)

    def save_pretrained(self, directory: str | Path, *, over: Base | None = None) -> None:
        """Write one directory that `from_pretrained` opens: configuration, all weights, tokenizer files.

        With `over`, the checkpoint that LoRA's factors were trained over, it holds the factors instead of the
        encoder's weights, and opens only where that checkpoint is.
        """
        self.model.save_pretrained(directory, {"unit": self.unit, "cut_alike": self.cut_alike}, over)
        self.tokenizer.save(directory)
        words = Path(directory) / WORDS
        if self.words:
            write_text(words, "".join(f"{word}\n" for word in sorted(self.words)))
        else:
            words.unlink(missing_ok=True)  # of a segmenter that was saved here before

    @torch.inference_mode()
    def tag_examples(self, examples: Sequence[Example], *, scores: bool) -> list[Tagging]:
        """The tags and entities of a batch of examples, each of at least one unit."""
        self.model.eval()
        batch = collate(examples, self.layout).to(self.model.linear.weight.device)
        return self._decoder(self.model.crf, self.model(batch), batch.mask, scores=scores)


def _usable(device: str | torch.device) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = shortened(str(error).partition("\n")[0])
        raise ValueError(f"device {quoted(str(device))} cannot be used here: {reason}") from error
