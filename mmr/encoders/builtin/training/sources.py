"""The drawings to learn from: every emoji, icon and clip art with its name and keywords."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

EMOJI_PACKAGES = ("noto", "fluent-emoji-flat", "twemoji")
CLIP_ART_HELD_OUT = (
    "food/fruit", "food/desserts", "food/beverages", "animals/mammals", "recreation/music",
    "transportation", "tools", "buildings", "office", "plants", "people/clothing", "electronics",
)  # fmt: skip
CLIP_ART_LEFT_OUT = ("shapes/stars", "special", "recreation/games/jigsaw", "unsorted/jigsaw")
EMPTY_WORDS = frozenset({
    "clip", "art", "clipart", "svg", "icon", "icons", "theme", "hash", "unsorted", "public", "domain",
    "image", "png", "remix", "the", "part", "of", "collection", "drawing", "vector", "symbol", "flat",
})  # fmt: skip
COLOUR_WORDS = frozenset({
    "red", "green", "blue", "yellow", "black", "white", "brown", "grey", "gray", "orange", "purple", "pink",
})  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """One picture of a set: svg text or a PNG file, its name, and keywords that also fit it."""

    source: str
    key: str
    name: str
    words: tuple[str, ...]
    coloured: bool
    svg: str = ""
    png: str = ""


def plain(text: str) -> str:
    """Turn `arrow-left_2Icon` into `arrow left icon`: split camel case, drop digits and signs."""
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text)
    return " ".join(re.sub(r"[^A-Za-z' ]+", " ", text).lower().split())


def emoji_names(npm: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Read CLDR's English name and keywords of each emoji: emoji → (name, keywords)."""
    path = npm / "cldr-annotations-full/annotations/en/annotations.json"
    found = json.loads(path.read_text(encoding="utf8"))["annotations"]["annotations"]
    return {
        emoji.replace("\ufe0f", ""): (entry["tts"][0], tuple(entry.get("default", ())))
        for emoji, entry in found.items()
        if entry.get("tts")
    }


def _iconify_svg(data: dict[str, Any], name: str) -> str:
    icon = data["icons"][name]
    width = icon.get("width", data.get("width", 16))
    height = icon.get("height", data.get("height", 16))
    frame = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{frame}">{icon["body"]}</svg>'
    )


def emoji(npm: Path, package: str) -> Iterator[Drawing]:
    """Yield the emoji of one iconify set that CLDR names; skin tones are left out."""
    folder = npm / "@iconify-json" / package
    data = json.loads((folder / "icons.json").read_text(encoding="utf8"))
    names = emoji_names(npm)
    for code, icon in json.loads((folder / "chars.json").read_text(encoding="utf8")).items():
        characters = "".join(chr(int(part, 16)) for part in code.split("-")).replace("\ufe0f", "")
        if characters in names and icon in data["icons"]:
            name, words = names[characters]
            yield Drawing(package, characters, plain(name), words, True, svg=_iconify_svg(data, icon))


def redrawn(drawing: Drawing, style: str) -> Drawing:
    """Draw an emoji as another artist would: `line` in black lines on white, `inked` with black edges.

    A style sheet put into the svg gives every shape the same pen, 2 or 2.5 % of the side.
    """
    found = re.search(r'viewBox="\S+ \S+ (\S+) ', drawing.svg)
    side = float(found[1]) if found else 32.0
    fill, pen = ("fill:#fff!important;", 0.02) if style == "line" else ("", 0.025)
    sheet = f"<style>*{{{fill}stroke:#000!important;stroke-width:{pen * side:g}!important}}</style>"
    svg = drawing.svg.replace(">", ">" + sheet, 1)
    return replace(drawing, source=f"{drawing.source}-{style}", coloured=style != "line", svg=svg)


def game_icons(npm: Path) -> Iterator[Drawing]:
    """Yield the game icons, which have a name and no keywords."""
    data = json.loads((npm / "@iconify-json/game-icons/icons.json").read_text(encoding="utf8"))
    for name in data["icons"]:
        yield Drawing("game-icons", name, plain(name), (), False, svg=_iconify_svg(data, name))


def tabler(npm: Path) -> Iterator[Drawing]:
    """Yield Tabler's outline and filled icons."""
    folder = npm / "@tabler/icons"
    listed = json.loads((folder / "icons.json").read_text(encoding="utf8"))
    for name, entry in listed.items():
        words = tuple(plain(str(tag)) for tag in entry["tags"])
        for style in ("outline", "filled"):
            path = folder / "icons" / style / f"{name}.svg"
            if entry["category"] != "Brand" and path.is_file():
                yield Drawing(f"tabler-{style}", name, plain(name), words, False, svg=path.read_text())


def lucide(npm: Path) -> Iterator[Drawing]:
    """Yield the Lucide icons that have tags."""
    folder = npm / "lucide-static"
    for name, tags in json.loads((folder / "tags.json").read_text(encoding="utf8")).items():
        path = folder / "icons" / f"{name}.svg"
        if path.is_file():
            yield Drawing("lucide", name, plain(name), tuple(tags), False, svg=path.read_text())


def phosphor(npm: Path) -> Iterator[Drawing]:
    """Yield Phosphor's icons in its six weights; the list is read out of its script."""
    folder = npm / "@phosphor-icons/core"
    script = (folder / "dist/index.mjs").read_text(encoding="utf8")
    for name, tags in re.findall(r'name: "([^"]+)",.*?tags: \[(.*?)\]', script, re.DOTALL):
        words = tuple(tag for tag in re.findall(r'"([^"]+)"', tags) if not tag.startswith("*"))
        for style in ("thin", "light", "regular", "bold", "fill", "duotone"):
            end = "" if style == "regular" else f"-{style}"
            path = folder / "assets" / style / f"{name}{end}.svg"
            if path.is_file() and not name.endswith("-logo"):
                yield Drawing(f"phosphor-{style}", name, plain(name), words, False, svg=path.read_text())


def material(npm: Path) -> Iterator[Drawing]:
    """Yield the Material Design icons of the community, names with aliases."""
    folder = npm / "@mdi/svg"
    for entry in json.loads((folder / "meta.json").read_text(encoding="utf8")):
        path = folder / "svg" / f"{entry['name']}.svg"
        if not entry["deprecated"] and path.is_file():
            words = tuple(plain(alias) for alias in entry["aliases"])
            yield Drawing("mdi", entry["name"], plain(entry["name"]), words, False, svg=path.read_text())


def fluent(npm: Path) -> Iterator[Drawing]:
    """Yield Fluent's icons, the largest size of each name, regular and filled."""
    best: dict[tuple[str, str], tuple[int, Path]] = {}
    for path in sorted((npm / "@fluentui/svg-icons/icons").glob("*.svg")):
        found = re.fullmatch(r"(.+)_(\d+)_(regular|filled)", path.stem)
        if found:
            key = (found[1], found[3])
            best[key] = max(best.get(key, (0, path)), (int(found[2]), path))
    for (name, style), (_, path) in sorted(best.items()):
        yield Drawing(f"fluent-{style}", name, plain(name), (), False, svg=path.read_text())


def _clip_art_text(path: Path) -> tuple[str, list[str]]:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError):
        return "", []
    title, words = "", []
    skipped: set[ElementTree.Element] = set()
    for node in root.iter():
        tag = node.tag.rsplit("}", 1)[-1]
        if tag in {"Agent", "publisher", "creator", "rights"}:
            skipped.update(node.iter())
        elif node in skipped or not (node.text or "").strip():
            continue
        elif tag == "title" and not title:
            title = str(node.text).strip()
        elif tag == "li":
            words.append(str(node.text).strip().lower())
    return title, words


def clip_art(debian: Path, held_out: bool = False) -> Iterator[Drawing]:
    """Yield the Open Clip Art Library; `held_out` gives the categories kept for measuring instead.

    A title that names a collection (seen more than 3 times, or "Part of the ...") gives way to
    the file's name.
    """
    pictures, drawings = debian / "usr/share/openclipart/png", debian / "usr/share/openclipart/svg"
    found: list[tuple[str, Path, str, list[str]]] = []
    for path in sorted(pictures.rglob("*.png")):
        inside = path.relative_to(pictures)
        if path.is_symlink() or any(str(inside).startswith(part) for part in CLIP_ART_LEFT_OUT):
            continue
        if held_out == any(str(inside).startswith(part) for part in CLIP_ART_HELD_OUT):
            title, words = _clip_art_text(drawings / inside.with_suffix(".svg"))
            found.append((str(inside), path, title, words))
    counts = Counter(title for _, _, title, _ in found)
    for key, path, title, words in found:
        if not title or counts[title] > 3 or "Part of the" in title or "Clipart by" in title:
            title = path.stem
        kept = [word for word in plain(title).split() if word not in EMPTY_WORDS and len(word) > 1]
        keywords = [plain(word) for word in words if word not in EMPTY_WORDS | COLOUR_WORDS]
        if kept:
            name = " ".join(kept[:6])
            yield Drawing("openclipart", key, name, tuple(filter(None, keywords))[:8], True, png=str(path))


def training_drawings(work: Path) -> Iterator[Drawing]:
    """Yield every drawing that may be learnt from, set after set, always in the same order."""
    npm, debian = work / "npm/node_modules", work / "debian"
    for package in EMOJI_PACKAGES:
        yield from emoji(npm, package)
    yield from clip_art(debian)
    for source in (tabler, lucide, phosphor, material, fluent, game_icons):
        yield from source(npm)
    for package in EMOJI_PACKAGES:
        for drawing in emoji(npm, package):
            yield redrawn(drawing, "line")
            yield redrawn(drawing, "inked")


def held_out_drawings(work: Path) -> Iterator[Drawing]:
    """Yield the sets that are only measured on: OpenMoji (two styles), Bootstrap icons, clip art."""
    npm, debian = work / "npm/node_modules", work / "debian"
    listed = json.loads((npm / "openmoji/data/openmoji.json").read_text(encoding="utf8"))
    for style in ("color", "black"):
        for entry in listed:
            path = npm / "openmoji" / style / "svg" / f"{entry['hexcode']}.svg"
            if not entry["skintone"] and "extras" not in entry["group"] and path.is_file():
                name = plain(entry["annotation"])
                yield Drawing(
                    f"openmoji-{style}", entry["emoji"], name, (), style == "color", svg=path.read_text()
                )
    for path in sorted((npm / "bootstrap-icons/icons").glob("*.svg")):
        yield Drawing("bootstrap", path.stem, plain(path.stem), (), False, svg=path.read_text())
    yield from clip_art(debian, held_out=True)
