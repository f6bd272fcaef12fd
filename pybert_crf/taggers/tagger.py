"""The tagger: a model, its tokenizer and its tag scheme as one object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pybert_crf.annotation import rendering
from pybert_crf.annotation.annotator import (
    BATCH_TOKENS,
    LOOK_AHEAD,
    WORDS,
    Annotator,
    entities_of,
    read_words,
)
from pybert_crf.annotation.entities import Entity, Marginals, Reading, Tagging
from pybert_crf.annotation.examples import Example, by_length
from pybert_crf.annotation.sentence_reader import Prepared
from pybert_crf.annotation.tags_of_entities import tags_of_entities
from pybert_crf.batches import Batch, collate
from pybert_crf.encoders import Base, ConfigError, resolve, spread
from pybert_crf.encoders.int8 import quantise
from pybert_crf.files import write_text
from pybert_crf.model import SECTION, BertCRF, read_tagger_config
from pybert_crf.reading import listed, quoted, shortened
from pybert_crf.taggers.decoding import EntityDecoder, forbid, tempered
from pybert_crf.taggers.temperature import Scored, Temperature, fit_temperature
from pybert_crf.text.tagging.schemes import PLAIN, role, type_name
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.units import split_units

ENSEMBLE = "ensemble.json"
"""The file of a directory with several taggers, which open as one: see `pybert_crf.taggers.ensemble`."""


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
        temperature: divides all scores of the CRF before they become probabilities; see `calibrate`.
        context: pieces of neighbouring sentences, on either side at most, that the encoder reads around each
            sentence of a document; 0 for none.
    """

    def __init__(
        self,
        model: BertCRF,
        tokenizer: UnitTokenizer,
        unit: str,
        *,
        cut_alike: float = 1.0,
        words: frozenset[str] = frozenset(),
        temperature: float = 1.0,
        context: int = 0,
    ) -> None:
        super().__init__(
            tokenizer,
            unit,
            model.labels,
            model.scheme or PLAIN,
            model.encoder.config.max_length,
            cut_alike=cut_alike,
            words=words,
            context=context,
        )
        self.model = model.eval()
        self.int8 = False
        self.source: Path | None = None  # the directory that it was opened from
        self.temperature = temperature
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

        Several taggers that were saved as one are an `Ensemble`, from a directory only.
        `device` may be "auto": the encoder is spread over all GPUs, and what does not fit there over memory
        and disk. `dtype` is that of the encoder's weights, by default the one that they were saved in.

        Raises:
            FileNotFoundError: the directory, or one of its files, is missing.
            ConfigError, CheckpointError: the files are not of a tagger saved by this package, or damaged.
            ValueError: `device` cannot be used.
        """
        if (Path(name_or_directory).expanduser() / ENSEMBLE).is_file():
            from pybert_crf.taggers.ensemble import Ensemble

            return Ensemble.from_pretrained(
                name_or_directory, device=device, dtype=dtype, local_files_only=local_files_only
            )
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
        if place is None:
            place = spread(model.encoder)
            model.linear.to(place)
            model.crf.to(place)
        else:
            model.to(place)
        tagger = cls(
            model,
            tokenizer,
            own["unit"],
            cut_alike=own.get("cut_alike", 1.0),
            words=read_words(directory),
            temperature=own.get("temperature", 1.0),
            context=own.get("context", 0),
        )
        tagger.source = directory
        return tagger

    def quantise(self) -> Tagger:
        """Compute the encoder's linear layers with 8-bit integers from now on; the tagger itself.

        Faster on a CPU, with results that are not quite the same. It can then not be saved.

        Raises:
            ValueError: not a CPU and float32, or an encoder that cannot be quantised.
        """
        weight = self.model.linear.weight
        if weight.device.type != "cpu" or any(p.dtype != torch.float32 for p in self.model.parameters()):
            raise ValueError("int8 needs the device cpu and weights of float32")
        quantise(self.model.encoder)
        self.int8 = True
        return self

    def save_pretrained(self, directory: str | Path, *, over: Base | None = None) -> None:
        """Write one directory that `from_pretrained` opens: configuration, all weights, tokenizer files.

        With `over`, the checkpoint that LoRA's factors were trained over, it holds the factors instead of the
        encoder's weights, and opens only where that checkpoint is.
        """
        if self.int8:
            raise ValueError("a quantised tagger cannot be saved: save it before, quantise it when it opens")
        own = {"unit": self.unit, "cut_alike": self.cut_alike, "temperature": self.temperature}
        context = {"context": self.context} if self.context else {}
        self.model.save_pretrained(directory, own | context, over)
        self.tokenizer.save(directory)
        words = Path(directory) / WORDS
        if self.words:
            write_text(words, "".join(f"{word}\n" for word in sorted(self.words)))
        else:
            words.unlink(missing_ok=True)  # of a segmenter that was saved here before

    def push_to_hub(
        self,
        name: str,
        *,
        card: str | Path | None = None,
        private: bool = False,
        token: str | None = None,
        message: str = "Tagger",
    ) -> str:
        """Upload what `save_pretrained` writes, and a model card, to a hub; the model's address.

        Args:
            name: ``owner/name`` of the Hugging Face hub, or ``modelscope:owner/name``; made if missing.
            card: a file in Markdown. By default the ``README.md`` of the directory that the tagger was opened
                from (training writes it: data, labels, figures, calibration, use), or what can be told of
                the tagger without one.
            private: whether a model that is made is private.
            token: of the hub; by default the one that its own command has stored.
            message: of the commit.

        Raises:
            ValueError: not such a name, or the tagger is not the one that its card describes.
            ImportError: ModelScope's package is not installed.
            OSError: the hub refuses, or cannot be reached; says why.
        """
        from pybert_crf.taggers.publishing import publish

        return publish(self, name, card=card, private=private, token=token, message=message)

    @property
    def temperature(self) -> float:
        """What divides all scores before they become probabilities. Setting it to 0 or less, or to what is
        not finite, raises ValueError."""
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        if not 0.0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, got {temperature}")
        self._temperature = float(temperature)

    def calibrate(
        self,
        sequences: Iterable[Sequence[str]],
        tags: Iterable[Sequence[str]],
        batch_tokens: int = BATCH_TOKENS,
        *,
        documents: Iterable[int] | None = None,
    ) -> Temperature:
        """Fit the temperature, at which given tags are most probable, and use it from now on.

        The temperature divides the scores of emissions and transitions alike: no best path changes, nor the
        order of any paths, only their probabilities. It is saved with the tagger. The sentences must not be
        those of training, on which a tagger is surer than on new text; the dev part is a good choice.

        Args:
            sequences: the units (characters or words, as in training) of each sentence.
            tags: their right tags; a sentence with a tag that the tagger does not have, or with a transition
                that its scheme forbids, is left out.
            batch_tokens: positions encoded at once.
            documents: the number of each one's document, as of `tag_units`.

        Raises:
            ValueError: a sentence has not as many tags as units, or none can be used.
        """
        prepared = self.reader().read(sequences, documents)
        fitted = fit_temperature(self.model.crf, self._scored(prepared, tags, batch_tokens))
        self.temperature = fitted.temperature
        return fitted

    @torch.inference_mode()
    def _scored(
        self, prepared: Iterable[Prepared], tags: Iterable[Sequence[str]], batch_tokens: int
    ) -> Iterator[Scored]:
        """The emissions and right tags of sentences whose tags are all known, batch by batch."""
        number = {label: i for i, label in enumerate(self.labels)}
        pairs = zip(prepared, tags, strict=True)
        while chunk := list(islice(pairs, LOOK_AHEAD)):
            examples = [
                each.example._replace(tags=[number[tag] for tag in right])
                for each, right in chunk
                if each.offsets and all(tag in number for tag in right)
            ]
            for rows in by_length([example.positions for example in examples], batch_tokens):
                batch, emissions = self._encoded([examples[row] for row in rows])
                assert batch.tags is not None
                yield Scored(emissions, batch.tags, batch.mask)

    @torch.inference_mode()
    def tag_examples(
        self, examples: Sequence[Example], *, scores: bool, probability: bool = False
    ) -> list[Tagging]:
        """The tags and entities of a batch of examples, each of at least one unit."""
        emissions, mask = self._emissions(examples)
        return self._decoder(
            self.model.crf,
            emissions,
            mask,
            scores=scores,
            temperature=self.temperature,
            probability=probability,
        )

    def _emissions(self, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Emissions (B, T, K), -inf for tags that are not allowed, and the mask (B, T)."""
        batch, emissions = self._encoded(examples)
        forbid(emissions, examples)
        return emissions, batch.mask

    def _encoded(self, examples: Sequence[Example]) -> tuple[Batch, Tensor]:
        """The examples as a batch, and their emissions (B, T, K)."""
        if self.model.training or self.model.encoder.training:
            self.model.eval()
        batch = collate(examples, self.layout).to(self.model.linear.weight.device)
        return batch, self.model(batch).to(self.model.crf.transitions.dtype)

    @torch.inference_mode()
    def marginals(self, text: str) -> Marginals:
        """The probability of every tag at every unit of a text, among the readings that keep the rules."""
        offsets = split_units(text, self.unit)
        if not offsets:
            return Marginals(text, [], self.labels, np.empty((0, len(self.labels)), np.float32))
        emissions, mask = self._emissions([self.example(text, offsets)])
        crf, emissions = tempered(self.model.crf, emissions, self.temperature)
        probabilities = crf.marginals(emissions, mask)[0]
        return Marginals(text, offsets, self.labels, probabilities.cpu().numpy())

    @torch.inference_mode()
    def k_best(self, text: str, k: int) -> list[Reading]:
        """The k most probable readings of a text, the most probable first; fewer if there are not as many.

        Raises:
            ValueError: `k` is not positive.
        """
        if k < 1:
            raise ValueError(f"k must be positive, got {k}")
        offsets = split_units(text, self.unit)
        if not offsets:
            return [Reading([], [], 1.0)]
        crf = self.model.crf
        emissions, mask = self._emissions([self.example(text, offsets)])
        tags, scores = crf.viterbi(emissions, mask, k)
        tags, scores = tags.view(-1, len(offsets)), scores.view(-1)  # (k, T) and (k,); without k if it is 1
        legal = int(scores.isfinite().sum())  # the first ones
        if not legal:
            crf.decode(emissions, mask)  # raises, and names the fault
        crf, emissions = tempered(crf, emissions, self.temperature)
        scores = scores[:legal] / self.temperature
        probabilities = (scores - crf.log_partition(emissions, mask)).exp().tolist()
        same = (emissions.expand(legal, -1, -1), tags[:legal], mask.expand(legal, -1))
        taggings = self._decoder.read(crf, *same, scores=True)
        return [
            Reading(tagging.tags, entities_of(text, offsets, tagging), probability)
            for tagging, probability in zip(taggings, probabilities, strict=True)
        ]

    @torch.inference_mode()
    def score(self, text: str, entities: Iterable[Entity | tuple[int, int, str]]) -> float:
        """The probability, 0 to 1, that just these entities stand in a text, or that there are none.

        Args:
            text: the text.
            entities: entities, or the half-open characters and the type of each.

        Raises:
            ValueError: an entity whose ends are not those of units, that overlaps another, or of a type
                that the tagger does not have; names it.
        """
        offsets = split_units(text, self.unit)
        tags = tags_of_entities(entities, text, offsets, self.unit, self.labels, self.scheme)
        if not offsets:
            return 1.0
        emissions, mask = self._emissions([self.example(text, offsets)])
        numbers = torch.tensor([[self.labels.index(tag) for tag in tags]], device=emissions.device)
        crf, emissions = tempered(self.model.crf, emissions, self.temperature)
        return float(crf(emissions, numbers, mask).exp())

    def render(self, text: str) -> str:
        """The text as HTML, with its entities marked; in a notebook, ``IPython.display.HTML`` shows it."""
        return rendering.fragment(text, self(text))

    def to(self, device: str | torch.device) -> Tagger:
        """Move the model to `device`; returns this tagger. Raises ValueError if the device cannot be used."""
        self.model.to(_usable(device))
        return self

    def half(self) -> Tagger:
        """Let encoder and linear layer compute in float16; the CRF stays in float32. Returns this tagger."""
        self.model.encoder.half()
        self.model.linear.half()
        return self

    def __repr__(self) -> str:
        config = self.model.encoder.config
        kinds = sorted({type_name(kind) for tag in self.labels if (kind := role(tag, self.scheme)[1])})
        weight = self.model.linear.weight
        sizes = f"{config.model_type}, {config.num_layers} layers, {config.hidden_size} wide"
        tags = "plain tags" if self.scheme == PLAIN else self.scheme
        told = f"{tags} by {self.unit}: {listed(kinds)}; {weight.device}, {str(weight.dtype)[6:]}"
        return f"Tagger({sizes}; {told})"


def _usable(device: str | torch.device) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = shortened(str(error).partition("\n")[0])
        raise ValueError(f"device {quoted(str(device))} cannot be used here: {reason}") from error
