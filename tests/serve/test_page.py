"""The page in a headless Chromium: contents, languages, keyboard, accessibility, files, no other host."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from serving import Client, in_thread, small_tagger

from pybert_crf.taggers.tagger import Tagger

pytestmark = pytest.mark.slow

TEXT = "😀张三在北京工作，李四<b>在</b>北京。"
STATUS = "document.getElementById('status').textContent"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """One browser for all tests."""
    if browser.find() is None:
        pytest.skip(f"no Chromium is installed: none of {', '.join(browser.NAMES)}")
    with browser.page(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
    assert hosts(opened) <= {"127.0.0.1"}  # in any of the tests


def hosts(page: browser.Page) -> set[str]:
    """Those that were asked so far."""
    return {address.split("/")[2].partition(":")[0] for address in page.addresses if "//" in address}


def tag(page: browser.Page, text: str, told: str) -> None:
    """Write a text and send it off by the keyboard; wait for a status."""
    page.wait("document.getElementById('count').textContent")
    page.evaluate("document.getElementById('text').select()")
    page.type(text)
    page.press("Enter", modifiers=2)
    page.wait(f"{STATUS}.includes({json.dumps(told)})")


def shown(page: browser.Page, selector: str) -> list[str]:
    """The texts of elements."""
    code = f"Array.from(document.querySelectorAll({json.dumps(selector)}), (each) => each.textContent)"
    found: list[str] = page.evaluate(code)
    return found


def test_a_text_is_shown_with_its_entities(page: browser.Page, client: Client, tagger: Tagger) -> None:
    page.open(client.url)
    tag(page, TEXT, "found")
    expected = tagger(TEXT)
    rows = shown(page, "#list tbody tr")
    assert len(rows) == len(expected) > 2
    for row, entity in zip(rows, expected, strict=True):
        assert row.startswith(f"{entity.label}{entity.text}{entity.start}{entity.end}")
    marks = shown(page, "#marked mark")
    assert [mark.startswith(entity.text) for mark, entity in zip(marks, expected, strict=True)] == [
        True
    ] * len(rows)
    assert (
        page.evaluate("document.querySelectorAll('#marked b').length") == 0
    )  # markup of the text stays text
    assert len(shown(page, "#readings > li")) == 5
    best = tagger.k_best(TEXT, 1)[0].probability
    assert shown(page, "#readings > li")[0].startswith(f"probability {best:.2f}")
    units = len(tagger.marginals(TEXT).offsets)
    assert len(shown(page, "#numbers-table tbody tr")) == units
    assert page.evaluate("document.querySelectorAll('#picture svg rect').length") >= len(rows)
    assert not page.messages  # neither errors nor what the Content-Security-Policy has blocked


def test_alternatives_by_pointer_and_keyboard(page: browser.Page, client: Client, tagger: Tagger) -> None:
    page.open(client.url)
    tag(page, TEXT, "found")
    entity = tagger(TEXT)[1]
    page.evaluate("document.querySelectorAll('#marked mark')[1].dispatchEvent(new MouseEvent('mouseenter'))")
    (heading,) = shown(page, "#detail h3")
    assert heading.startswith(f"{entity.text} — {entity.label}")
    assert len(shown(page, "#detail .units li")) == entity.end - entity.start
    page.evaluate("document.querySelectorAll('#marked mark')[0].focus()")
    page.press("Tab")
    assert page.evaluate("document.activeElement === document.querySelectorAll('#marked mark')[1]")
    assert shown(page, "#detail h3") == [heading]
    page.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


def test_the_order_of_the_tab_key(page: browser.Page, client: Client) -> None:
    page.open(client.url)
    page.wait("document.getElementById('count').textContent")
    order = []
    for _ in range(7):
        page.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert order == ["skip", "language", "text", "model", "least", "main", "file"]


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_the_language_is_that_of_the_browser(page: browser.Page, client: Client, language: str) -> None:
    page.open(client.url, language=language)
    tag(page, TEXT, "个实体" if language == "zh-CN" else "entities")
    assert page.evaluate("document.documentElement.lang") == ("zh-CN" if language == "zh-CN" else "en")
    assert shown(page, "#result-title") == ["实体" if language == "zh-CN" else "Entities"]
    page.evaluate(
        "{const s = document.getElementById('language'); s.value = s.value === 'zh' ? 'en' : 'zh';"
        "s.dispatchEvent(new Event('change'))}"
    )
    assert shown(page, "#result-title") == ["Entities" if language == "zh-CN" else "实体"]
    empty = "Array.from(document.querySelectorAll('[data-word]')).filter((each) => !each.textContent).length"
    assert page.evaluate(empty) == 0


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (360, False), (360, True)])
def test_accessibility(page: browser.Page, client: Client, width: int, dark: bool) -> None:
    """No rule of axe-core is violated, contrast included, and nothing is wider than the window."""
    page.open(client.url, width=width, dark=dark)
    tag(page, TEXT, "found")
    page.evaluate("document.getElementById('numbers').open = true")
    page.evaluate("document.querySelector('#marked mark').focus()")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    spec = importlib.util.find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        pytest.skip("the rules of axe-core are not here: no package axe-core-python")
    (rules,) = Path(spec.origin).parent.glob("**/axe.min.js")
    page.evaluate(rules.read_text("utf-8") + ";0")
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((results) => results.violations)")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_a_screen_reader_is_told(page: browser.Page, client: Client) -> None:
    page.open(client.url)
    tag(page, TEXT, "found")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    told = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }
    for expected in [
        ("textbox", "Text"),
        ("button", "Tag"),
        ("heading", "Entities"),
        ("combobox", "Language"),
    ]:
        assert expected in told
    assert any(role == "image" and name.startswith("Bars for") for role, name in told)
    assert any(role == "button" and "PER" in name for role, name in told)
    assert [role for role, _ in told if role == "status"]


def test_a_file_is_tagged_line_by_line(
    page: browser.Page, client: Client, tagger: Tagger, tmp_path: Path
) -> None:
    lines = ["张三在北京", "", "李四😀", *(f"北京{number}" for number in range(200))]
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    page.open(client.url)
    page.wait("document.getElementById('count').textContent")
    downloads = tmp_path / "downloads"
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    page.give("#file", file)
    page.wait(f"{STATUS}.includes('All 203 texts')")
    assert len(shown(page, "#texts > li")) == 100
    page.evaluate("document.getElementById('save-many').click()")
    saved = downloads / "entities.jsonl"
    for _ in range(600):
        if saved.exists() and saved.read_text("utf-8").count("\n") == len(lines):
            break
        page.evaluate("new Promise((go) => setTimeout(go, 100))")
    answers = [json.loads(line) for line in saved.read_text("utf-8").splitlines()]
    assert [answer["text"] for answer in answers] == lines
    assert [len(answer["entities"]) for answer in answers] == [len(tagger(line)) for line in lines]
    file.write_bytes("北京".encode("gb18030"))
    page.give("#file", file)
    page.wait("document.getElementById('error').textContent.includes('not UTF-8')")


def test_errors_and_keys_are_told(page: browser.Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBERT_CRF_API_KEY", "0123456789abcdef")
    with in_thread({"one": small_tagger()}, max_text=10) as client:
        page.open(client.url)
        page.wait("document.getElementById('error').textContent.includes('API key')")
        assert page.evaluate("document.activeElement.id") == "key"
        page.type("0123456789abcdef")
        page.evaluate("document.getElementById('text').focus()")
        page.type("北京张三在北京张三在北京")
        page.press("Enter", modifiers=2)
        page.wait("document.getElementById('error').textContent.includes('--max-text')")
        page.evaluate("document.getElementById('text').select()")
        page.type("北京")
        page.press("Enter", modifiers=2)
        page.wait("!document.getElementById('result').hidden")
        assert page.evaluate("document.getElementById('error').textContent") == ""


def test_no_other_host_is_asked(page: browser.Page, client: Client) -> None:
    page.open(client.url)
    tag(page, TEXT, "found")
    assert hosts(page) == {"127.0.0.1"}
