"""The page on many machines: its command runs on Ray, its example on Spark, where these are installed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from pages import blocks
from test_commands import commands, run

from pybert_crf import Tagger
from pybert_crf.encoders import Encoder
from pybert_crf.model import BertCRF
from pybert_crf.text.tokenizer import UnitTokenizer

PAGE = "docs/cluster.md"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tagger and the text that the page names."""
    folder = tmp_path_factory.mktemp("place")
    tokenizer = UnitTokenizer.build([list("林小雨在青河市工作。")], "char", min_count=1)
    model = BertCRF(
        Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size), ["O", "B-PER", "I-PER"], "BIO"
    )
    Tagger(model, tokenizer, "char").save_pretrained(folder / "my-tagger")
    (folder / "text.txt").write_text("林小雨在青河市工作。\n" * 3, encoding="utf-8")
    return folder


def test_the_local_command_runs(place: Path) -> None:
    pytest.importorskip("ray")
    (line,) = commands(PAGE)
    run(["bash", "-c", line], place)
    rows = (place / "answers" / "part-000000.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row)["text"] for row in rows] == ["林小雨在青河市工作。"] * 3


def test_the_example_of_spark_runs(place: Path) -> None:
    pytest.importorskip("pyspark")
    parquet = pytest.importorskip("pyarrow.parquet")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    (code,) = blocks(PAGE, "python")
    run([sys.executable, "-c", code], place)
    rows = parquet.read_table(place / "answers-of-spark").to_pylist()
    found = {row["id"]: json.loads(row["entities"]) for row in rows}
    tagger = Tagger.from_pretrained(place / "my-tagger")
    expected = [entity.to_dict() for entity in tagger("林小雨在青河市工作。")]
    assert [(e["start"], e["end"], e["label"]) for e in found[1]] == [
        (e["start"], e["end"], e["label"]) for e in expected
    ]
    assert found[2] == []
