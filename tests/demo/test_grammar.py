"""The demo corpus: what training on it relies on, and that memorising names does not help."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from pybert_crf.demo import frames, lexicon
from pybert_crf.demo.grammar import (
    ENTITY_SLOTS,
    MAX_ENTITIES,
    NUMBER_SLOTS,
    UNSEEN,
    UNSEEN_ENTITIES,
    DemoCorpus,
    TaggedSentence,
    make_corpus,
)
from pybert_crf.text.corpora import read_corpus

SIZES = (1500, 300, 300)
LABELS = ("LOC", "ORG", "PER")


@pytest.fixture(scope="module")
def corpus() -> DemoCorpus:
    return make_corpus(seed=3, sizes=SIZES)


def entities(sentence: TaggedSentence) -> list[tuple[int, int, str, str]]:
    """(start, stop, label, text) of each entity, in order."""
    characters, tags = sentence
    starts = [i for i, tag in enumerate(tags) if tag.startswith("B-")]
    found = []
    for start in starts:
        stop = start + 1
        while stop < len(tags) and tags[stop].startswith("I-"):
            stop += 1
        found.append((start, stop, tags[start][2:], "".join(characters[start:stop])))
    return found


def names(sentences: list[TaggedSentence]) -> Counter[str]:
    return Counter(text for sentence in sentences for _, _, _, text in entities(sentence))


def everything(corpus: DemoCorpus) -> list[TaggedSentence]:
    return [*corpus.train, *corpus.dev, *corpus.test]


def test_sizes(corpus: DemoCorpus) -> None:
    assert tuple(map(len, corpus)) == SIZES
    assert make_corpus(sizes=(0, 0, 2)).train == []


@pytest.mark.parametrize("sizes", [(-1, 1, 1), (1, 1), (1, 1, 1, 1)])
def test_bad_sizes(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="three counts"):
        make_corpus(sizes=sizes)


def test_same_seed_same_corpus(corpus: DemoCorpus) -> None:
    assert make_corpus(seed=3, sizes=SIZES) == corpus


def test_independent_of_string_hashing() -> None:
    code = (
        "import hashlib; from pybert_crf.demo.grammar import make_corpus;"
        "print(hashlib.sha256(repr(make_corpus(1, (200, 20, 20))).encode()).hexdigest())"
    )
    here = hashlib.sha256(repr(make_corpus(1, (200, 20, 20))).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == here


def test_seeds_differ(corpus: DemoCorpus) -> None:
    other = make_corpus(seed=4, sizes=SIZES)
    shared = {"".join(s) for s, _ in corpus.train} & {"".join(s) for s, _ in other.train}
    assert len(shared) < 0.1 * SIZES[0]  # sentences without an entity may recur


def test_legal_bio(corpus: DemoCorpus) -> None:
    legal = {"O", *(f"{prefix}-{label}" for prefix in "BI" for label in LABELS)}
    for characters, tags in everything(corpus):
        assert len(characters) == len(tags)
        assert all(len(c) == 1 and not c.isspace() for c in characters)
        for before, tag in zip(["O", *tags], tags, strict=False):
            assert tag in legal
            assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_tags_cover_whole_names(corpus: DemoCorpus) -> None:
    suffixes = {
        "LOC": (
            *"省市县镇乡村区",
            *lexicon.SCENERY_SUFFIXES,
            *lexicon.PLACE_TAILS,
            *lexicon.FOREIGN_PLACE_ENDINGS,
        ),
        "ORG": (
            *(*lexicon.FIRM_SUFFIXES, *lexicon.BANKS, *lexicon.UNIVERSITIES, *lexicon.SCHOOLS, *lexicon.LABS),
            *(
                *lexicon.HOSPITALS,
                *lexicon.BODIES,
                *lexicon.PRESSES,
                *lexicon.FOREIGN_BODIES,
                *lexicon.TEAM_SUFFIXES,
            ),
        ),
        "PER": (*lexicon.GIVEN, *lexicon.FOREIGN_PERSON_ENDINGS),
    }
    for sentence in everything(corpus):
        for start, _, label, text in entities(sentence):
            assert text.endswith(suffixes[label])
            assert label != "PER" or text.startswith((*lexicon.SURNAMES, *lexicon.FOREIGN)), (start, sentence)
            assert len(text) > 1


def test_no_sentence_twice(corpus: DemoCorpus) -> None:
    texts = Counter("".join(characters) for characters, _ in everything(corpus))
    assert texts.most_common(1)[0][1] == 1


def test_parts_share_no_name(corpus: DemoCorpus) -> None:
    train, dev, test = (set(names(part)) for part in corpus)
    assert len(train) > 1000
    assert not train & dev
    assert not train & test
    assert not dev & test


def test_parts_share_no_root(corpus: DemoCorpus) -> None:
    """清河县 in one part keeps 清河大学 out of the others."""

    def roots(sentences: list[TaggedSentence]) -> set[str]:
        return {
            text[:2]
            for text in names(sentences)
            if text[0] in lexicon.PLACE_HEADS and text[1] in lexicon.PLACE_TAILS
        }

    train, test = roots(corpus.train), roots(corpus.test)
    persons = {
        text[:2] for text in names(corpus.train) | names(corpus.test) if text.startswith(lexicon.SURNAMES)
    }
    assert len(test - persons) > 20
    assert not (train & test) - persons


def test_types_are_balanced(corpus: DemoCorpus) -> None:
    for part in corpus:
        types = Counter(label for sentence in part for _, _, label, _ in entities(sentence))
        assert sorted(types) == sorted(LABELS)
        assert min(types.values()) > 0.2 * types.total()


def test_entities_a_sentence(corpus: DemoCorpus) -> None:
    counts = Counter(len(entities(sentence)) for sentence in corpus.train)
    assert set(counts) == set(range(MAX_ENTITIES + 1))
    assert min(counts.values()) > 0.05 * SIZES[0]
    adjacent = sum(
        one[1] == following[0] for found in map(entities, corpus.train) for one, following in pairwise(found)
    )
    assert adjacent > 20


def test_no_character_gives_an_entity_away(corpus: DemoCorpus) -> None:
    """Surname and suffix characters also stand in ordinary words."""
    outside = {
        c for characters, tags in corpus.train for c, tag in zip(characters, tags, strict=True) if tag == "O"
    }
    assert set("高张王石黄白金方周万何任马江河山市县省村镇") <= outside
    ordinary = ["".join(c) for c, tags in corpus.train if set(tags) == {"O"}]
    for word in ("高兴", "张开", "王朝", "市场", "公司", "大学", "银行", "医院", "研究所", "委员会"):
        assert any(word in text for text in ordinary), word


def test_dictionary_scores_nothing(corpus: DemoCorpus) -> None:
    """Longest match with every name of the training part finds (almost) no entity of the test part."""
    known = {text: label for sentence in corpus.train for _, _, label, text in entities(sentence)}
    longest = max(map(len, known))

    def match(characters: list[str]) -> set[tuple[int, int, str]]:
        found, i = set(), 0
        while i < len(characters):
            for stop in range(min(len(characters), i + longest), i, -1):
                label = known.get("".join(characters[i:stop]))
                if label:
                    found.add((i, stop, label))
                    break
            else:
                stop = i + 1
            i = stop
        return found

    def recall(sentences: list[TaggedSentence]) -> float:
        gold = [{entity[:3] for entity in entities(sentence)} for sentence in sentences]
        hits = sum(len(match(s[0]) & truth) for s, truth in zip(sentences, gold, strict=True))
        return hits / sum(map(len, gold))

    assert recall(corpus.train) > 0.9
    assert recall(corpus.test) < 0.05


def test_frames_name_only_known_slots() -> None:
    known = {*ENTITY_SLOTS, *NUMBER_SLOTS, *lexicon.WORDS}
    sources = [frames.NEWS, frames.PLAIN, frames.OPENERS, frames.TAILS, *lexicon.WORDS.values()]
    used = {slot for lines in sources for line in lines for slot in line.replace("{", "}").split("}")[1::2]}
    assert used <= known
    assert set(ENTITY_SLOTS) <= used
    for line in frames.PLAIN:
        assert not any(f"{{{slot}}}" in line for slot in ENTITY_SLOTS), line


def test_unseen_is_unseen(corpus: DemoCorpus) -> None:
    assert len(UNSEEN) == len(UNSEEN_ENTITIES) == len(set(UNSEEN)) == 5
    texts = ["".join(characters) for characters, _ in everything(corpus)]
    for sentence, expected in zip(UNSEEN, UNSEEN_ENTITIES, strict=True):
        assert "[" not in sentence
        assert sentence not in texts
        for text, label in expected:
            assert text in sentence
            assert label in LABELS
            assert not any(text in other for other in texts)
    assert set("".join(UNSEEN)) <= set("".join(texts))  # new names, but no character the model never met


def test_write(corpus: DemoCorpus, tmp_path: Path) -> None:
    small = DemoCorpus(corpus.train[:3], corpus.dev[:2], [])
    paths = small.write(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["train.txt", "dev.txt", "test.txt"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["dev.txt", "test.txt", "train.txt"]
    for path, sentences in zip(paths[:2], small, strict=False):
        assert [(sentence.tokens, sentence.tags) for sentence in read_corpus(path).sentences] == sentences
    assert paths[2].read_bytes() == b""
