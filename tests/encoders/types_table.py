"""What works with encoders of each type, tried on tiny random models: for `test_types_table`, and as a table.

    python tests/encoders/types_table.py [TYPE …]

writes the table, or the rows of some types, into docs/backbones.md and docs/backbones.zh-CN.md. Each cell is
a check that was made: ✓, or why not.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).parents[1] / "text" / "tokenizer"))

import adapter_cases
import encoder_cases
from layouts import HOSTILE, LAYOUTS
from peers import auto, clean, expected, own, sentencepiece_pieces
from their_layouts import THEIR_LAYOUTS, write_layout

from pybert_crf import BertCRF, Tagger
from pybert_crf.annotation.annotator import Annotator
from pybert_crf.annotation.examples import make_example
from pybert_crf.batches import Batch, collate
from pybert_crf.encoders import Plan, adapt, open_encoder, open_masked_lm, read_config
from pybert_crf.encoders.adapted import is_adapted
from pybert_crf.export import export_tagger
from pybert_crf.onnx_tagger import OnnxTagger
from pybert_crf.text.tokenizer import UnitTokenizer

PAGES = {Path(__file__).parents[2] / "docs" / f"backbones{end}.md": bool(end) for end in ("", ".zh-CN")}

YES = "✓"

# Without weights that anyone may open: a row of its own that says so.
CLOSED = {"GPT-3": "its weights were never published"}

REFUSED = {"GuardOnDataDependentSymNode": "its loops cannot be traced"}
"""Why a type has no ONNX file, by words of the message."""

SURVEY = {
    "bert": "BERT",
    "distilbert": "DistilBERT",
    "roberta": "RoBERTa",
    "xlm": "XLM",
    "xlm-roberta": "XLM-R",
    "albert": "ALBERT",
    "electra": "ELECTRA",
    "deberta": "DeBERTa",
    "big_bird": "BigBird",
    "openai-gpt": "GPT",
    "gpt2": "GPT-2",
    "ctrl": "CTRL",
    "gpt_neo": "GPT-Neo",
    "gptj": "GPT-J",
    "GPT-3": "GPT-3",
    "t5": "T5",
    "bart": "BART",
    "m2m_100": "M2M-100",
}
"""The eighteen families of a survey of pretrained transformers, by type."""

OTHERS = (
    *("deberta-v2", "ernie", "xlm-roberta-xl", "modernbert", "eurobert", "nomic_bert", "camembert"),
    *("rembert", "roformer", "longformer", "mt5", "umt5", "mbart", "qwen2", "qwen3", "llama", "mistral"),
    *("gemma3_text", "opt", "bloom"),
)
TYPES = (*SURVEY, *OTHERS)

CHINESE = {
    "type": "类型",
    "read by": "读取方式",
    "own table": "自己的表",
    "attention": "注意力",
    "both ways": "双向",
    "both ways, or causal": "双向，或因果",
    "causal": "因果",
    "trains": "训练",
    "reloads": "重新加载",
    "no head": "没有预测头",
    "encoder-decoder": "编码器-解码器",
    "tokenizer": "分词器",
    "✓, by character": "✓，按字",
    "in ONNX": "用 ONNX",
    "its loops cannot be traced": "其循环无法追踪",
    "its weights were never published": "权重从未公布",
}

SENTENCES = ["张甲在京。", "王乙在沪。", "李甲在沪。", "王甲在京。"]
LABELS = ("O", "B-PER", "I-PER", "B-LOC")
TAGS = [1, 2, 0, 3, 0]
STEPS = 12


def write_checkpoint(
    name: str, directory: Path, masked: bool = False, texts: Sequence[Sequence[str]] = SENTENCES
) -> None:
    """A tiny random model of a type with a small tokenizer of these texts, as transformers writes it."""
    torch.manual_seed(11)
    if name in adapter_cases.ALL:
        make = adapter_cases.their_masked_lm if masked else adapter_cases.their_model
        adapter_cases.write_their(directory, make(name))
        adapter_cases.write_tokenizer(
            directory, adapter_cases.kind_of(name), ["".join(each) for each in texts] * 9
        )
        return
    tokenizer = UnitTokenizer.build([[*each] for each in texts], "char", min_count=1)
    settings = {"vocab_size": max(tokenizer.vocab_size, 20), "pad_token_id": tokenizer.pad_id}
    kind = "Model" if not masked else "WithLMHeadModel" if name == "xlm" else "ForMaskedLM"
    theirs = encoder_cases.their_class(name, kind)(encoder_cases.their_config(name, **settings))
    adapter_cases.write_their(directory, theirs)
    tokenizer.save(directory)


class Case:
    """A tagger over the tiny model of a type, and what is tried with it."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        write_checkpoint(name, directory / "start")
        self.adapted = is_adapted(read_config(directory / "start"))

    def open(self, **options: Any) -> Tagger:
        """A new tagger over the checkpoint."""
        torch.manual_seed(3)
        model = BertCRF(open_encoder(self.directory / "start", **options), LABELS, "BIO", dropout=0.0)
        return Tagger(model, UnitTokenizer.from_directory(self.directory / "start", "char"), "char")

    def read_by(self) -> str:
        return "transformers" if self.adapted else "own table"

    def attention(self) -> str:
        """Whether the first piece's state depends on the last piece."""
        if self._sees_the_last(bidirectional=False):
            return "both ways"
        return "both ways, or causal" if self._sees_the_last() else "causal"

    @torch.no_grad()
    def _sees_the_last(self, **options: Any) -> bool:
        encoder = open_encoder(self.directory / "start", **options).eval()
        first, second = (encoder(torch.tensor([[8, 9, 10, last]]))[0, 0] for last in (11, 12))
        return not torch.equal(first, second)

    def trains(self) -> str:
        """The loss falls; every weight that should moves, and no other."""
        tagger = self.open()
        before = copy.deepcopy(dict(tagger.model.named_parameters()))
        _fit(tagger)
        for name, parameter in tagger.model.named_parameters():
            moved = not parameter.equal(before[name])
            assert moved == parameter.requires_grad, f"{name} {'moves' if moved else 'does not move'}"
        return YES

    def reloads(self) -> str:
        """The same tags and scores from what is saved."""
        tagger = self.open()
        _fit(tagger)
        return self._reload(tagger, exact=True)

    def lora(self) -> str:
        """Low-rank layers alone are trained, and merged into the weights that are saved."""
        tagger = self.open()
        layers = adapt(tagger.model.encoder, Plan(rank=4, alpha=8.0))
        assert layers
        before = {n: p.clone() for n, p in tagger.model.encoder.named_parameters() if ".lora_" not in n}
        _fit(tagger)
        for name, parameter in tagger.model.encoder.named_parameters():
            assert ".lora_" in name or parameter.equal(before[name]), f"{name} moves"
        return self._reload(tagger, exact=False)

    def _reload(self, tagger: Tagger, exact: bool) -> str:
        out = Path(tempfile.mkdtemp(dir=self.directory))
        tagger.save_pretrained(out)
        texts = [*SENTENCES, SENTENCES[0] * 20, "x\u200e7"]
        units = [[*text] for text in texts]
        answers = list(tagger.tag_units(units))
        again = list(Tagger.from_pretrained(out).tag_units(units))
        for one, other in zip(answers, again, strict=True):
            assert one.tags == other.tags
            if exact:
                assert one.scores == other.scores
            else:
                assert torch.tensor(one.scores).allclose(torch.tensor(other.scores), atol=1e-4)
        return YES

    def onnx(self) -> str:
        """onnxruntime finds what the tagger finds; or the type is refused, and why."""
        tagger = self.open()
        _fit(tagger)
        try:
            written = export_tagger(tagger, self.directory / "onnx")
        except ValueError as error:
            return _reason(error)
        assert _found(OnnxTagger(written.model)) == _found(tagger)
        return YES

    def int8(self) -> str:
        """Quantised, the tagger finds nearly the same; if torch cannot, the ONNX file does."""
        tagger = self.open()
        _fit(tagger)
        before, reader, cell = _found(tagger), tagger, YES
        try:
            tagger.quantise()
        except ValueError:
            tagger = self.open()
            _fit(tagger)
            written = export_tagger(tagger, self.directory / "int8", int8=True)
            reader, cell = OnnxTagger(written.model), "in ONNX"
        after = _found(reader)
        assert len(before & after) >= 0.8 * len(before | after), (before - after, after - before)
        return cell

    def pretrain(self) -> str:
        """The loss of masked pieces falls, and transformers opens what is saved; or the type is refused."""
        values = read_config(self.directory / "start")
        try:
            open_masked_lm(self.directory / "start", new_head=True)
        except ValueError:
            return "encoder-decoder" if values.get("is_encoder_decoder") else "no head"
        return self._pretrain()

    def _pretrain(self) -> str:
        start, out = self.directory / "masked", self.directory / "pretrained"
        write_checkpoint(self.name, start, masked=True)
        model = open_masked_lm(start)
        tokenizer = UnitTokenizer.from_directory(start, "char")
        text = tokenizer.encode([*"".join(SENTENCES)]).ids
        ids = torch.tensor([[*tokenizer.before, *text, *tokenizer.after]])
        places = torch.arange(len(tokenizer.before), len(tokenizer.before) + len(text), 3)
        targets = ids[0, places].clone()
        assert tokenizer.mask_id is not None
        ids[0, places] = tokenizer.mask_id
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 3e-3)
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = model(ids, None, places, targets)
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        assert losses[-1] < 0.95 * losses[0], losses
        model.save_pretrained(out)
        kind: Any = adapter_cases.transformers.AutoModelForMaskedLM
        theirs, told = kind.from_pretrained(out, output_loading_info=True)
        lost = {str(each) for kind in told.values() for each in kind if "pooler" not in str(each)}
        assert not lost, lost
        with torch.no_grad():
            ours = model.eval()(ids, None, places)
            seen = torch.ones_like(ids)
            error = theirs.eval()(input_ids=ids, attention_mask=seen).logits[0, places] - ours
        assert error.abs().max() < 1e-4, float(error.abs().max())
        return YES

    def tokenizer(self) -> str:
        """Pieces as in transformers on hostile texts, from the type's own files, and from what is saved."""
        directory = self.directory / "tokenizer"
        if self.name in LAYOUTS:
            LAYOUTS[self.name].write(_made(directory))
            (directory / "config.json").write_text(json.dumps({"model_type": self.name}))
        elif self.name in THEIR_LAYOUTS:
            write_layout(self.name, directory)
        else:
            adapter_cases.write_tokenizer(directory, adapter_cases.kind_of(self.name), SENTENCES * 9)
        for unit in ("char", "word"):
            if (self.name, unit) == ("roformer", "word"):
                continue
            ours = UnitTokenizer.from_directory(directory, unit)
            encoded = ours.encode(HOSTILE)
            assert len(set(encoded.first)) == len(encoded.first) == len(HOSTILE)
            saved = self.directory / f"tokenizer-{unit}"
            ours.save(saved)
            assert UnitTokenizer.from_directory(saved, unit).encode(HOSTILE) == encoded
            theirs = auto(saved)
            texts = HOSTILE
            if (self.name, unit) == ("m2m_100", "char"):  # its class puts a space before every text
                model = sentencepiece_pieces(directory / "sentencepiece.bpe.model", False)
                texts = [text for text in HOSTILE if len(text) == 1 and text.isprintable() and text != "▁"]
                pieces = {text: theirs.convert_tokens_to_ids(model(text)[1]) for text in texts}
                wrong = [text for text in texts if own(ours, text) != (pieces[text] or [ours.unk_id])]
            else:
                wrong = [text for text in texts if own(ours, text) != _pieces(theirs, ours, text)]
            assert wrong == [], (unit, wrong)
        return "✓, by character" if self.name == "roformer" else YES


CHECKS: dict[str, Callable[[Case], str]] = {
    "read by": Case.read_by,
    "attention": Case.attention,
    "trains": Case.trains,
    "reloads": Case.reloads,
    "LoRA": Case.lora,
    "ONNX": Case.onnx,
    "int8": Case.int8,
    "`pretrain`": Case.pretrain,
    "tokenizer": Case.tokenizer,
}
"""By the headings of their columns."""


TEXTS = [*SENTENCES, SENTENCES[0] * 20, "".join(SENTENCES), "x甲7", "京"]


def _found(annotator: Annotator) -> set[tuple[int, int, int, str]]:
    """The entities of `TEXTS`, by the number of the text."""
    answers = enumerate(annotator.tag(TEXTS))
    return {(i, each.start, each.end, each.label) for i, found in answers for each in found}


def _reason(error: ValueError) -> str:
    """Why a type cannot be exported, as the cell has it."""
    told = [cell for words, cell in REFUSED.items() if words in str(error)]
    assert len(told) == 1, error
    return told[0]


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _pieces(theirs: Any, ours: UnitTokenizer, text: str) -> list[int]:
    """The ids of a unit in transformers; where nothing is left of it, the piece that stands for it here."""
    if theirs.unk_token_id is not None and hasattr(theirs, "backend_tokenizer"):
        return expected(theirs, text)
    ids: list[int] = theirs([clean(text)], is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return [ours.unk_id] if theirs.convert_ids_to_tokens(ids) in ([], ["▁"]) else ids


def _batch(tagger: Tagger) -> Batch:
    encoded = [tagger.tokenizer.encode([*sentence]) for sentence in SENTENCES]
    return collate([make_example(each, tagger.layout, TAGS) for each in encoded], tagger.layout)


def _fit(tagger: Tagger) -> None:
    """A few steps on a batch; the loss must fall."""
    model, batch = tagger.model.train(), _batch(tagger)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 5e-3, weight_decay=0.01)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0], losses
    model.eval()


def row(name: str) -> list[str]:
    """The cells of a type's row; a check that fails raises ``AssertionError``."""
    if name in CLOSED:
        return [name, CLOSED[name], *["–"] * (len(CHECKS) - 1)]
    shown = f"`{name}`" + (f" ({SURVEY[name]})" if name in SURVEY else "")
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = Case(name, Path(directory))
        # Exports last: one that is refused leaves traces in torch that a later check of the type may meet.
        order = sorted(CHECKS, key=lambda heading: heading in ("ONNX", "int8"))
        cells = {heading: CHECKS[heading](case) for heading in order}
        return [shown, *(cells[heading] for heading in CHECKS)]


def as_line(cells: list[str], chinese: bool = False) -> str:
    """A row as Markdown."""
    return f"| {' | '.join(CHINESE.get(cell, cell) if chinese else cell for cell in cells)} |"


def heading(chinese: bool = False) -> str:
    """The first two lines of the table."""
    return f"{as_line(['type', *CHECKS], chinese)}\n|{' --- |' * (len(CHECKS) + 1)}"


def main() -> None:
    """Write the rows into both pages, each in the place of the table that is there."""
    made = {name: row(name) for name in sys.argv[1:] or TYPES}
    for page, chinese in PAGES.items():
        text = page.read_text("utf-8")
        start = text.index(as_line(["type", "read by"], chinese).removesuffix(" |"))
        end = text.index("\n\n", start)
        there = {_type_in(line): line for line in text[start:end].splitlines()[2:]}
        lines = [as_line(made[name], chinese) if name in made else there[name] for name in TYPES]
        page.write_text(text[:start] + "\n".join([heading(chinese), *lines]) + text[end:], "utf-8")


def _type_in(line: str) -> str:
    """The type of a row of the table."""
    return line.split()[1].strip("`")


if __name__ == "__main__":
    main()
