"""Word segmentation: a corpus of words with spaces between them, a segmenter, and its unseen words.

    python examples/segmentation.py

The sentences are generated from a few words whose characters can be cut in several ways (研究 生命, 研究生):
which cut is right depends on what stands around. The names of the test part stand in no other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

from pybert_crf import Tagger, TrainOptions, train

SURNAMES, GIVEN = "王李张刘陈杨赵周吴郑马何", "小雨建国芳伟静敏涛春梅海波俊峰晓光思远秀英"
PATTERNS = [
    "{name} 研究 生命 的 起源 。",
    "{name} 是 {place} 大学 的 研究生 。",
    "{place} 大学生 {name} 喜欢 研究 中国 历史 。",
    "大学 生活 让 {name} 很 高兴 。",
    "{name} 和 服装 店 的 老板 说 了 一 句 话 。",
    "{name} 在 {place} 买 了 和服 。",
    "{place} 市长 {name} 参观 了 长江 大桥 。",
    "{place} 市 长江 路 有 一 家 医院 。",
    "{name} 把 手 放 在 桌子 上 。",
    "{name} 的 把手 坏 了 。",
    "这 件 事 {name} 从 小学 就 知道 。",
    "{name} 从小 学 画画 。",
]
PLACES = ["北京", "上海", "南京", "青河", "东湖"]


def write(path: Path, dice: Random, count: int, seen: set[str] | None = None) -> set[str]:
    """Sentences, one a line, with a space between words, without the names in `seen`; their own names."""
    names, lines = set(), []
    while len(lines) < count:
        name = dice.choice(SURNAMES) + "".join(dice.choices(GIVEN, k=dice.choice((1, 2, 2))))
        if name not in (seen or ()):
            names.add(name)
            lines.append(dice.choice(PATTERNS).format(name=name, place=dice.choice(PLACES)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/examples/segmentation"))
    parser.add_argument("--sentences", type=int, default=600, help="to learn from")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()

    dice = Random(0)
    parts = {name: options.out / f"{name}.seg" for name in ("train", "dev", "test")}
    seen = write(parts["train"], dice, options.sentences)
    seen |= write(parts["dev"], dice, 60)
    write(parts["test"], dice, 120, seen)

    result = train(
        TrainOptions(
            train=str(parts["train"]),
            dev=str(parts["dev"]),
            test=str(parts["test"]),
            format="words",  # words with spaces; `debug-data` tells how a file is read
            model="tiny",
            out=str(options.out / "segmenter"),
            epochs=options.epochs,
            batch_tokens=512,
            learning_rate=2e-3,
            head_learning_rate=1e-2,
            overwrite=True,
        )
    )
    words, found = result.test.unseen
    print(f"F1 of words on test: {result.test.f1:.3f}; of {words} words never seen {found} are found")

    # A segmenter is a tagger whose entities are words: they cover the text without a gap.
    segmenter = Tagger.from_pretrained(result.out)
    for text in ("马晓光研究生命的起源。", "何秀英是东湖大学的研究生。"):
        entities = segmenter(text)
        assert "".join(entity.text for entity in entities) == text
        least = min(entities, key=lambda entity: entity.score)
        print(
            " ".join(entity.text for entity in entities), f"(least certain: {least.text}, {least.score:.2f})"
        )


if __name__ == "__main__":
    main()
