"""The page in headless Chromium: it renders, stays offline, obeys the keys, and runs nobody else's script."""

from __future__ import annotations

import pytest

from tests.show import chromium
from tests.show.test_page import HOSTILE, hostile_records

pytestmark = pytest.mark.skipif(chromium.program() is None, reason=chromium.HOW)

QUERIES = [
    {"id": f"q{q}", "text": f"query {q}", "hits": [
        {"id": f"{q}-{h}.jpg", "image": f"{q}-{h}.jpg", "score": 1 - h / 40, "text": f"words {h}"}
        for h in range(14)
    ]}
    for q in range(2)
]  # fmt: skip
FOCUSED = "document.activeElement.closest('li')?.querySelector('.name')?.textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    window = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield window
    window.close()


def quiet(browser, path):
    """No error was logged and nothing but the page itself was asked for."""
    assert browser.noise == []
    assert {url for url in browser.asked if not url.startswith("data:image/jpeg;base64,")} == {
        path.absolute().as_uri()
    }


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_renders_without_a_sound(browser, page, width, dark):
    path, _, _ = page([*QUERIES, {"id": "text only", "text": "words"}, {"id": "m", "image": "missing.jpg"}])
    browser.open(path, width, dark=dark)
    quiet(browser, path)
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    browser.ask("[...document.images].forEach(i => { i.loading = 'eager'; })")
    browser.ask("Promise.all([...document.images].map(i => i.decode())).then(() => 1)")
    assert browser.ask("[...document.images].every(i => i.complete && i.naturalWidth === 256)")
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(22, 22, 21)" if dark else "rgb(251, 251, 249)")


def test_pictures_of_one_row_are_of_one_height(browser, page):
    path, _, _ = page(QUERIES)
    for width in (390, 1280):
        browser.open(path, width)
        rows = browser.ask(
            "Object.values(Object.groupBy([...document.querySelectorAll('.grid img')].map("
            "i => i.getBoundingClientRect()), b => Math.round(b.top))).map(r => r.map(b => b.height))"
        )
        assert len(rows) > 3
        assert all(max(row) - min(row) < 1 for row in rows)
        assert max(len(row) for row in rows) >= 2


def test_keys_move_open_and_close(browser, page):
    path, _, _ = page(QUERIES)
    browser.open(path)
    browser.press("Tab")
    browser.until("document.activeElement.className", "skip")
    browser.press("j")
    assert browser.ask(FOCUSED) is None  # on a link, keys are the link's
    browser.ask("document.activeElement.blur()")
    browser.press("j")
    browser.until(FOCUSED, "0-0.jpg")
    browser.press("ArrowRight")
    browser.press("j")
    browser.press("k")
    browser.until(FOCUSED, "0-1.jpg")
    browser.until("getComputedStyle(document.activeElement).outlineStyle", "solid")
    browser.press("ArrowDown")
    below = browser.ask(FOCUSED)
    assert below not in ("0-0.jpg", "0-1.jpg", "0-2.jpg")
    browser.press("ArrowUp")
    browser.until(FOCUSED, "0-1.jpg")
    browser.press("Enter")
    assert browser.ask("document.querySelector('dialog').open")
    browser.until("document.querySelector('dialog h2').textContent", "Hit 2 of 14")
    assert "words 1" in browser.ask("document.querySelector('dialog').textContent")
    browser.press("ArrowRight")
    browser.until("document.querySelector('dialog h2').textContent", "Hit 3 of 14")
    browser.press("Escape")
    browser.until("document.querySelector('dialog').open", False)
    browser.until(FOCUSED, "0-2.jpg")
    browser.press("n")
    browser.until(FOCUSED, "1-0.jpg")
    browser.press("End")
    browser.until(FOCUSED, "1-13.jpg")
    browser.press("p")
    browser.until(FOCUSED, "0-0.jpg")
    quiet(browser, path)


def test_a_focused_hit_is_not_hidden_under_the_query(browser, page):
    path, _, _ = page(QUERIES)
    browser.open(path, 1280, 500)
    browser.press("j")
    for key in [*["ArrowDown"] * 3, *["ArrowUp"] * 2]:
        browser.press(key)
        assert browser.ask(
            "document.activeElement.getBoundingClientRect().top >= "
            "document.activeElement.closest('section').querySelector('header').getBoundingClientRect().bottom"
        )


def test_one_query_needs_no_list_of_queries(browser, page):
    for queries in (QUERIES[:1], QUERIES):
        path, _, _ = page(queries)
        browser.open(path)
        shown = "[...document.querySelectorAll('.contents, .many')].map(e => e.checkVisibility())"
        assert browser.ask(shown) == [len(queries) > 1] * 2
    assert browser.ask("[...document.querySelectorAll('nav a')].map(a => a.hash).join()") == "#r1,#r2"


def test_each_grid_is_one_stop_of_the_tab_key(browser, page):
    path, _, _ = page(QUERIES)
    browser.open(path)
    browser.until("document.querySelectorAll('.hit[tabindex=\"0\"]').length", 2)
    browser.press("j")
    browser.press("j")
    browser.until("document.querySelectorAll('.hit[tabindex=\"0\"]').length", 2)


def test_hostile_names_run_nothing(browser, page):
    path, _, _ = page(hostile_records(), title="calm")
    browser.open(path)
    count = browser.ask("document.querySelectorAll('.hit').length")
    assert count == 4 * len(HOSTILE)
    for _ in range(count):  # every closer view, with its links
        browser.press("j")
        browser.press("Enter")
        browser.press("Escape")
    browser.ask("document.querySelectorAll('.hit').forEach(h => h.focus())")
    browser.until("document.title", "calm")
    browser.until("document.scripts.length", 1)
    assert browser.ask("[...document.links].every(a => a.protocol === 'file:')")
    quiet(browser, path)


def test_the_policy_stops_a_script_that_got_in(browser, page):
    path, _, _ = page(QUERIES, title="calm")
    path.write_text(path.read_text().replace("</main>", "<script>document.title='owned'</script></main>"))
    browser.open(path)
    browser.until("document.title", "calm")
    assert browser.noise


def test_a_thousand_hits(browser, page):
    hits = [{"id": f"{i}.jpg", "image": f"{i}.jpg", "score": 1 - i / 2000} for i in range(1000)]
    path, _, _ = page([{"id": "q", "text": "many", "hits": hits}])
    browser.open(path)
    browser.until("document.querySelectorAll('.hit').length", 1000)
    browser.press("j")
    browser.press("End")
    browser.until(FOCUSED, "999.jpg")
    assert browser.ask("document.activeElement.getBoundingClientRect().bottom <= innerHeight + 1")
    quiet(browser, path)
