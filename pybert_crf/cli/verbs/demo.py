"""``pybert-crf demo``: see the whole job done before trusting it with your own data."""

from __future__ import annotations

from pathlib import Path

from pybert_crf.cli.verb import Verb
from pybert_crf.options import DemoOptions


def work(options: DemoOptions) -> None:
    """Train a small Chinese tagger from scratch on a made-up corpus, offline, in under two minutes."""
    from rich.console import Console

    from pybert_crf.cli.progress import TrainingDisplay
    from pybert_crf.cli.show import highlight
    from pybert_crf.demo.run import run_demo

    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    say("A made-up corpus in People's Daily style; train, dev and test share no entity.")
    with TrainingDisplay(console) as display:
        finished, tagged = run_demo(options.out, display)
    say("\nSentences that the tagger never saw:")
    labels = sorted({entity.label for _, entities in tagged for entity in entities})
    for text, entities in tagged:
        console.print("  ", highlight(text, entities, labels, colour=console.is_terminal), soft_wrap=True)
    say(f"\nThe tagger is saved in {finished.out}. Next:")
    say(f"  echo '{tagged[0][0]}' | pybert-crf predict {finished.out} -")
    say(f"  pybert-crf evaluate {finished.out} {Path(options.out) / 'data' / 'test.txt'}")
    say("  pybert-crf train train.txt --dev dev.txt --model bert-base-chinese --out my-tagger")


VERB = Verb("demo", DemoOptions, work, "pybert-crf demo --out my-first-tagger")
