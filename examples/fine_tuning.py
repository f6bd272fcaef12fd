"""Fine-tuning with a report: an encoder, a tagger trained from it, and the page that explains the run.

    python examples/fine_tuning.py --model bert-base-chinese  # from the hub, or a directory
    python examples/fine_tuning.py                            # offline: pretrains a tiny encoder first

Everything is written below `--out`; `report.html` there opens in any browser.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pybert_crf import PretrainOptions, Tagger, TrainOptions, pretrain, train
from pybert_crf.demo.grammar import UNSEEN, make_corpus


def pretrained_encoder(data: Path, out: Path) -> str:
    """A tiny encoder that has read the text of the training part, without its tags."""
    lines = [line.split(" ")[0] for line in (data / "train.txt").read_text("utf-8").splitlines()]
    sentences = "\n".join("".join(lines[a:b]) for a, b in sentence_bounds(lines))
    (data / "text.txt").write_text(sentences + "\n", "utf-8")
    result = pretrain(
        PretrainOptions(
            text=str(data / "text.txt"), out=str(out), model="tiny", unit="char", epochs=3, overwrite=True
        )
    )
    print(f"pretrained {result.out}: perplexity {result.dev.perplexity:.1f} on lines that were held out")
    return result.out


def sentence_bounds(lines: list[str]) -> list[tuple[int, int]]:
    """Begin and end of each sentence; an empty line ends one."""
    ends = [i for i, line in enumerate(lines) if not line]
    return [(begin, end) for begin, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]


def follow(event: object) -> None:
    """What happens in a run comes as small records; an epoch's are printed."""
    if type(event).__name__ == "EpochDone":
        print(f"epoch {event.epoch}: loss {event.loss:.3f}, F1 on dev {event.dev.f1:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="an encoder: a directory, or a name on the hub")
    parser.add_argument("--out", type=Path, default=Path("build/examples/fine-tuning"))
    parser.add_argument("--sentences", type=int, default=1500, help="to learn from")
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()

    data = options.out / "data"
    make_corpus(sizes=(options.sentences, 200, 300)).write(data)
    model = options.model or pretrained_encoder(data, options.out / "encoder")
    result = train(
        TrainOptions(
            train=str(data / "train.txt"),
            dev=str(data / "dev.txt"),
            test=str(data / "test.txt"),
            model=model,
            out=str(options.out / "tagger"),
            epochs=options.epochs,
            batch_tokens=1024,
            learning_rate=5e-5 if options.model else 2e-3,  # a tiny encoder learns at a higher rate
            head_learning_rate=1e-2,
            overwrite=True,
        ),
        follow,
    )
    metrics = json.loads((Path(result.out) / "metrics.json").read_text("utf-8"))
    print(f"kept epoch {metrics['epoch']}; F1 on test {result.test.f1:.3f}")
    print(f"settings, curves, confusions and the worst sentences: {Path(result.out) / 'report.html'}")

    tagger = Tagger.from_pretrained(result.out)
    for text, entities in zip(UNSEEN[:3], tagger.tag(UNSEEN[:3]), strict=True):
        print(
            text, *(f"{entity.label} {entity.text} ({entity.score:.2f})" for entity in entities), sep="\n  "
        )


if __name__ == "__main__":
    main()
