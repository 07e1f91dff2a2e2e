"""The page: whole, escaped, bounded, written in order."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import raise_item
from mmr.show.page import jpeg_size, write_page
from mmr.show.words import prose
from tests.show.conftest import draw

HOSTILE = [
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onfocus='document.title=1' autofocus='",
    "</style></title><svg onload=document.title='owned'>",
    "javascript:document.title='owned'//.jpg",
    "data:text/html,<script>document.title='owned'</script>",
    "line one\nline two\r\x1b[31m",
    "\u202egpj.exe",
    "<!--",
    "]]><![CDATA[",
    "&lt;b&gt; &amp; {title} {script} %s",
    "//evil.example/a.jpg",
    "https://evil.example/a.jpg",
    "?x#y%zz \\ é 東京 👩‍👧",
    "x" * 5000,
]


class Tags(HTMLParser):
    """Every tag with its attributes, and what was never closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)

    def every(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


def hostile_records():
    for text in HOSTILE:
        hit = {"id": text, "score": 0.5, "image": text, "text": text, text: text, "extra": {text: [text]}}
        yield {"id": text, "image": text, "text": text, "model": text, "via": [text],
               "hits": [hit, {"id": f"missing{text}", "image": f"missing{text}"}, {"id": text}]}  # fmt: skip
        yield {"id": text, "text": text, "image": text}


def test_hostile_names_and_texts_are_only_text(page):
    path, counts, _ = page(hostile_records(), title=HOSTILE[0])
    text = path.read_text()
    tags = Tags(text)
    assert tags.open == []
    assert counts.hits == 3 * len(HOSTILE)
    kinds = {tag for tag, _ in tags.tags}
    assert len(tags.every("script")) == 1
    assert len(tags.every("style")) == 1
    assert "svg" not in kinds
    assert {"dialog", "button", "dl"} <= kinds
    names = {name for _, attrs in tags.tags for name in attrs}
    assert not {name for name in names if name.startswith("on")}
    assert "autofocus" not in names
    assert "style" not in names
    assert {attrs["src"].partition(",")[0] for attrs in tags.every("img")} == {"data:image/jpeg;base64"}
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)


def page_of(text):
    """The tags of a page that shows one text everywhere."""
    out = io.BytesIO()
    record = {"id": text, "text": text, text: text, "hits": [{"id": text, "text": text, "note": text}]}
    write_page([record, {"id": text}], out, title=text, thumbnail=draw, reject=raise_item)
    return Tags(out.getvalue().decode())


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_any_text_reads_back_as_it_was_shown(text):
    tags = page_of(text)
    assert tags.open == []
    assert prose(text) in tags.said or not prose(text)
    assert {tag for tag, _ in tags.tags} <= {tag for tag, _ in page_of("calm").tags}


def test_links_are_nothing_but_paths(page):
    path, _, _ = page(hostile_records())
    links = [attrs["href"] for attrs in Tags(path.read_text()).every("a")]
    pictures = [link for link in links if not link.startswith("#")]
    assert len(pictures) == 3 * len(HOSTILE)
    for link in pictures:
        assert re.fullmatch(r"\.{1,2}/[A-Za-z0-9/.,_~%-]*", link), link


def test_links_lead_from_the_page_to_the_picture(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    items = [
        {"id": "a", "image": "pics/a b.jpg"},
        {"id": "b", "image": "b.jpg", "base": str(tmp_path / "photos")},
        {"id": "c", "image": "shards/s.tar#m.jpg"},
    ]
    path, _, _ = page(items, folder=tmp_path / "out")
    links = [attrs["href"] for attrs in Tags(path.read_text()).every("a")][1:]
    assert links == ["../pics/a%20b.jpg", "../photos/b.jpg", "../shards/s.tar"]
    path, _, _ = page(items, folder=None)
    assert [attrs["href"] for attrs in Tags(path.read_text()).every("a")] == ["#results"]


def test_the_policy_allows_this_style_and_script_alone(page):
    import base64
    import hashlib

    text = page([{"id": "a"}])[0].read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for name in ("style", "script"):
        inside = re.search(f"<{name}>(.*?)</{name}>", text, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_a_picture_that_cannot_be_read_is_a_placeholder_with_its_reason(page):
    hits = [{"id": "a", "image": "broken.jpg", "score": 1.0}, {"id": "b", "image": "b.jpg", "score": 0.5}]
    path, counts, bad = page([{"id": "q", "image": "missing.jpg", "hits": hits}])
    text = path.read_text()
    assert "truncated after 12 of 400 lines" in text
    assert "No such file or directory" in text
    assert (counts.unreadable, len(Tags(text).every("img"))) == (2, 1)
    assert [(item.where, item.stage) for item in bad] == [("missing.jpg", "decode"), ("broken.jpg", "decode")]
    assert bad[1].record == {"id": "a", "image": "broken.jpg"}


def test_order_is_the_order_of_the_stream(page):
    queries = [
        {"id": f"q{q}", "hits": [{"id": f"q{q}-h{h}", "image": f"{h}.jpg", "score": 1.0} for h in range(9)]}
        for q in range(20)
    ]
    text = page([*queries, {"id": "last"}])[0].read_text()
    names = re.findall(r'<bdi class="name">([^<]*)</bdi>', text)
    assert names == [f"q{q}-h{h}" for q in range(20) for h in range(9)] + ["last"]
    assert re.findall(r'class="rank">(\d+)<', text) == [str(h + 1) for _ in range(20) for h in range(9)]


def test_scores_model_and_steps_are_there(page):
    query = {"id": "q7", "text": "a cat", "model": "builtin#3f", "via": ["query pics.mmr", "rerank cut"],
             "hits": [{"id": "a", "score": 0.123456, "year": 1999}]}  # fmt: skip
    text = page([query], title="My page")[0].read_text()
    for part in ("<title>My page</title>", ">a cat</h2>", "0.1235", "builtin#3f", "rerank cut", "query q7",
                 "<dt>year</dt>", ">1999</dd>", "1 query, 1 hit"):  # fmt: skip
        assert part in text


def test_vectors_are_left_out(page):
    hit = {"id": "a", "score": 1.0, "vector": [0.125] * 512, "vectors": [[0.125]], "bindings": {"v": [0.125]}}
    assert "0.125" not in page([{"id": "q", "hits": [hit]}])[0].read_text()


def test_the_region_of_a_hit_is_framed_in_its_picture(page):
    asked = []

    def drawn(path, side, *box):
        asked.append((path, *box))
        return draw(path, side)

    boxes = [
        [0, 0.5, 0.5, 1],
        [0, 0.5, 0.5, 1],
        [0, 0, 1, 1],
        None,
        [0, 0, 2, 1],
        [0.5, 0, 0.5, 1],
        "no",
        [True] * 4,
    ]
    hits = [
        {
            "id": f"{i}",
            "image": "a.png",
            "score": 1,
            "boxes": [[0, 0.123, 1, 1]],
            "region": {"row": i, "box": box},
        }
        for i, box in enumerate(boxes)
    ]
    hits += [{"id": "x", "image": "a.png", "score": 0.5, "region": region} for region in (None, [], 3)]
    text = page([{"id": "q", "hits": hits}], thumbnail=drawn)[0].read_text()
    assert set(asked) == {("a.png",), ("a.png", (0, 0.5, 0.5, 1))}
    assert "0.123" not in text and "<dt>region</dt>" in text


def test_an_empty_stream_gives_a_page_that_says_so(page):
    path, counts, _ = page([])
    assert "the stream was empty" in path.read_text()
    assert str(counts) == "nothing to show"


@pytest.mark.parametrize("size", [(256, 171), (1, 256), (3, 2)])
def test_jpeg_sizes_are_read_from_the_file(size):
    from PIL import Image

    for options in ({}, {"progressive": True}):
        out = io.BytesIO()
        Image.new("RGB", size).save(out, "JPEG", **options)
        assert jpeg_size(out.getvalue()) == size
    assert jpeg_size(b"") == jpeg_size(b"\xff\xd8") == jpeg_size(b"GIF89a") == (1, 1)


def test_memory_does_not_grow_with_the_stream(tmp_path):
    def picture(path, side):
        return draw("x.jpg", 64) + b"\0" * 20_000

    def peak(queries):
        records = (
            {"id": f"q{q}", "hits": [{"id": "h", "image": f"{q}-{h}.jpg"} for h in range(10)]}
            for q in range(queries)
        )
        with open(tmp_path / "page.html", "wb") as file:
            tracemalloc.start()
            write_page(records, file, title="t", thumbnail=picture, reject=print, side=64)
            top = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return top

    assert peak(30) > 1e6
    assert peak(240) < 1.5 * peak(60)


def test_an_interrupted_page_is_never_seen(sh, tmp_path):
    (tmp_path / "out.html").write_text("the page of yesterday")
    line = json.dumps({"id": "q", "hits": []})
    done = sh(f"(echo '{line}'; sleep 5) | timeout -s INT 1.5 mmr show --html out.html")
    assert done.status in (124, 130)
    assert (tmp_path / "out.html").read_text() == "the page of yesterday"
    assert [p.name for p in tmp_path.iterdir()] == ["out.html"]


def test_the_command_writes_a_page_and_says_so(sh, tmp_path):
    from PIL import Image

    (tmp_path / "a.jpg").write_bytes(draw("a.jpg", 300))
    Image.new("RGBA", (40, 90), (9, 200, 30, 128)).save(tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(b"not a picture")
    items = [{"id": name, "image": name} for name in ("a.jpg", "b.png", "c.jpg", "gone.jpg")]
    lines = "\n".join(map(json.dumps, items)).encode()
    done = sh("mmr show --html out.html --title 'Two & more' --size 64 --errors bad.jsonl", stdin=lines)
    assert (done.status, done.stdout) == (3, b"")
    assert "out.html: 4 items, 2 pictures unreadable, 0.0 MB" in done.stderr
    text = (tmp_path / "out.html").read_text()
    assert "<title>Two &amp; more</title>" in text
    images = Tags(text).every("img")
    assert [max(int(i["width"]), int(i["height"])) for i in images] == [64, 64]
    bad = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [(b["id"], b["stage"]) for b in bad] == [("c.jpg", "decode"), ("gone.jpg", "decode")]
    piped = sh("mmr show --html - -q", stdin=lines.splitlines()[0])
    assert piped.stdout.startswith(b"<!doctype html>")
    assert piped.stdout.endswith(b"</html>\n")


def test_a_page_that_cannot_be_made(sh):
    assert sh("mmr show --html nowhere/out.html", stdin=b'{"id":"a"}').status == 73
    full = sh("mmr show --html - > /dev/full", stdin=b'{"id":"a"}')
    assert full.status == 74
