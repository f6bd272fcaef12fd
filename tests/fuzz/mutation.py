"""Mutations that know the form of an input: fields of JSON, lines of text, files of a directory.

Each takes a random generator, the input, and `raw`, the fuzzer's own mutation of bytes; it gives a changed
input.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

from bundle import pack, unpack
from damages import CONTENTS, REMOVED, VALUES

Raw = Callable[[bytes], bytes]
Mutate = Callable[[Random, bytes, Raw], bytes]

# What readers of text trip over: marks, separators of lines that are none, bytes that are not UTF-8, quotes.
ODD = [
    b"\xef\xbb\xbf",
    b"\0",
    b"\r",
    b"\t",
    b" ",
    b"\n",
    b"\n\n",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe3\x80\x80",
]
ODD += [
    b"\xff",
    b"\xed\xa0\x80",
    b'"',
    b"'",
    b"[",
    b"]",
    b"{",
    b"}",
    b"<",
    b">",
    b"&",
    b",",
    b"=",
    b":",
    b"\\",
    b"#",
]
ODD += [b"-", b"O", b"B-", b"I-X", b"-1", b"0", b"1e999", b"nan", b"9" * 5000, b"[" * 3000, b"{" * 3000]


def mutate_json(random: Random, data: bytes, raw: Raw) -> bytes:
    """Change one field of a JSON file, or a few."""
    try:
        value = json.loads(data)
        for _ in range(random.choice([1, 1, 1, 2, 4])):
            value = _change(random, value)
        text = json.dumps(value, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return raw(data)
    return raw(text) if random.random() < 0.1 else text


def _change(random: Random, whole: Any) -> Any:
    """A JSON value with one of its parts replaced, removed, renamed or moved."""
    paths = list(_paths(whole, ()))
    if not paths:
        return random.choice(list(VALUES.values())[1:])
    whole = copy.deepcopy(whole)
    *above, last = random.choice(paths)
    inside = whole
    for key in above:
        inside = inside[key]
    other: Any = whole
    for key in random.choice(paths):
        other = other[key]
    new = random.choice([*VALUES.values(), copy.deepcopy(other), *_near(random, inside[last])])
    if new is REMOVED:
        del inside[last]
    elif isinstance(inside, dict) and random.random() < 0.1:
        inside[str(random.choice(paths)[-1])] = inside.pop(last)
    else:
        inside[last] = new
    return whole


def _near(random: Random, value: Any) -> list[Any]:
    """Values of the same type, more often than others."""
    if isinstance(value, bool):
        return [not value] * 8
    if isinstance(value, int):
        return [value + 1, value - 1, 2 * value, value // 2, 0, 1, 2, 3, 4, 8, 1 << 20, random.randrange(64)]
    if isinstance(value, float):
        return [0.0, 1.0, -value, value * 1e30, 0.5]
    if isinstance(value, str):
        return [
            "",
            value + "x",
            value[:-1],
            value * 50,
            "\ud800",
            "\0",
            *[random.choice(STRINGS) for _ in range(8)],
        ]
    if isinstance(value, list):
        return [value * 2, value[1:], value[::-1], [value], []]
    return [{}, [value]]


STRINGS = [
    *(
        "bert",
        "roberta",
        "distilbert",
        "electra",
        "ernie",
        "albert",
        "xlm",
        "deberta",
        "deberta-v2",
        "big_bird",
    ),
    *("gelu", "relu", "tanh", "absolute", "original_full", "block_sparse", "c2p|p2c", "layer_norm", "none"),
    *(
        "BIO",
        "BIOES",
        "IOB1",
        "char",
        "word",
        "F32",
        "F16",
        "BF16",
        "F64",
        "I64",
        "BOOL",
        "model.safetensors",
    ),
    *("BertTokenizer", "RobertaTokenizerFast", "XLMTokenizer", "BPE", "WordPiece", "Unigram", "WordLevel"),
    *("Replace", "Regex", "Split", "Sequence", "NFKC", "Precompiled", "ByteLevel", "Metaspace", "Prepend"),
    *("Strip", "Digits", "Punctuation", "Isolated", "Removed", "[UNK]", "[CLS]", "<unk>", "▁", "Ġ", "##a"),
    *(".", "\\s+", "(a+)+$", "../x", "/x"),
]
"""That some field may hold."""


def _paths(value: Any, above: tuple[Any, ...]) -> Any:
    """The paths to the parts of a JSON value; of a long object or list, to some."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        for key in keys[:60]:
            yield (*above, key)
            if len(above) < 20:
                yield from _paths(value[key], (*above, key))


def mutate_text(random: Random, data: bytes, raw: Raw) -> bytes:
    """Change lines or tokens of a text."""
    for _ in range(random.choice([1, 1, 2, 4])):
        lines = data.split(b"\n")
        at, other = random.randrange(len(lines)), random.randrange(len(lines))
        tokens = lines[at].split(b" ")
        kind = random.randrange(8)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(other, lines[at])
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:  # a token of another line
            tokens[random.randrange(len(tokens))] = random.choice(lines[other].split(b" "))
            lines[at] = b" ".join(tokens)
        elif kind == 4:
            cut = random.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + random.choice(ODD) + lines[at][cut:]
        elif kind == 5:
            lines[at] = lines[at].rpartition(b" ")[0]
        elif kind == 6:
            lines[at] += b" " + random.choice(tokens)
        else:
            lines[at] = raw(lines[at])
        data = b"\n".join(lines)
    return data


def mutate_weights(random: Random, data: bytes, raw: Raw) -> bytes:
    """Change the header of a safetensors file, whose length stays right, or its numbers."""
    size = int.from_bytes(data[:8], "little")
    header, numbers = data[8 : 8 + size], data[8 + size :]
    if random.random() < 0.1 or len(numbers) < 8:
        return raw(data)
    if random.random() < 0.3:
        at = 4 * random.randrange(len(numbers) // 4)
        new = random.choice([b"\0\0\x80\x7f", b"\0\0\xc0\x7f", b"\xff\xff\x7f\x7f", random.randbytes(4)])
        numbers = numbers[:at] + new + numbers[at + 4 :]
    else:
        header = mutate_json(random, header, raw)
    return len(header).to_bytes(8, "little") + header + numbers


def mutate_directory(random: Random, data: bytes, raw: Raw) -> bytes:
    """Change one file of a bundle by its kind, or remove, rename or copy it."""
    files = unpack(data)
    if not files or random.random() < 0.02:
        return raw(data)
    name = random.choice(list(files))
    kind = random.random()
    if kind < 0.03:
        del files[name]
    elif kind < 0.06:
        files[random.choice(NAMES)] = files[name] if random.random() < 0.5 else files.pop(name)
    elif kind < 0.1:
        files[name] = random.choice([content for content in CONTENTS.values() if content is not None])
    else:
        files[name] = _by_suffix(name)(random, files[name], raw)
    return pack(files)


NAMES = [
    *(
        "config.json",
        "bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ),
    *("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "model-2.safetensors"),
    *("added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "spm.model"),
]
"""Of files that are read."""


def _by_suffix(name: str) -> Mutate:
    if name.endswith(".json"):
        return mutate_json
    if name.endswith(".safetensors"):
        return mutate_weights
    return mutate_text if name.endswith(".txt") else lambda random, data, raw: raw(data)
