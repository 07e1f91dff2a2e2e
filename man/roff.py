"""Turn short prose (a little Markdown) into the roff of a man page.

Known: `## SECTION`, `### Part`, paragraphs, `- ` lists, lists of terms (a line that is a term, then a line
that starts with `: `), examples indented by four blanks, and inside a line `code` and *name*. A line that
starts with `<!--` is a note to the tests and is not printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap

INLINE = re.compile(r"`([^`]+)`|\*([^*\s][^*]*)\*")


def plain(text: str, *, literal: bool = False) -> str:
    """Escape text for roff; `literal` keeps hyphens and quotes as the signs that people type."""
    text = text.replace("\\", "\\e")
    if literal:
        text = text.replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
        text = text.replace("~", "\\(ti")
    return "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)


def bold(text: str) -> str:
    """Text as it is typed."""
    return f"\\fB{plain(text, literal=True)}\\fR"


def slanted(text: str) -> str:
    """A name that stands for something."""
    return f"\\fI{plain(text, literal=True)}\\fR"


def inline(text: str) -> str:
    """One line of prose, broken where the source would get long."""
    parts, end = [], 0
    for match in INLINE.finditer(text):
        parts.append(plain(text[end : match.start()]))
        parts.append(bold(match[1]) if match[1] else slanted(match[2]))
        end = match.end()
    whole = "".join(parts) + plain(text[end:])
    lines = wrap(whole, 79, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(guarded, lines))


def guarded(line: str) -> str:
    """Keep a line from being read as a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line


def example(lines: list[str]) -> str:
    """An example, line by line as it is typed."""
    body = "\n".join(guarded(plain(line, literal=True)) for line in lines)
    return f".PP\n.RS 4\n.EX\n{body}\n.EE\n.RE\n"


def sections(prose: str) -> dict[str, str]:
    """The text below each `## SECTION`, in order."""
    found: dict[str, str] = {}
    for part in re.split(r"^## ", prose, flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        found[name.strip()] = body.strip("\n")
    return found


def page(prose: str) -> str:
    """The roff of one section's prose."""
    out: list[str] = []
    first = True
    for block in _blocks(prose):
        if block[0].startswith("### "):
            out.append(f".SS {plain(block[0][4:])}\n")
            first = True
            continue
        if block[0].startswith("    "):
            out.append(example([line[4:] for line in block]))
        elif block[0].startswith("- "):
            out.append(_bullets(block))
        elif len(block) > 1 and block[1].startswith(": "):
            out.append(_terms(block))
        else:
            out.append(("" if first else ".PP\n") + "\n".join(map(inline, block)) + "\n")
        first = False
    return "".join(out)


def _blocks(prose: str) -> Iterator[list[str]]:
    """Runs of lines without a blank one; inside an example blank lines stay."""
    block: list[str] = []
    for line in [*prose.splitlines(), ""]:
        if line.startswith("<!--"):
            continue
        if line.strip():
            changes = bool(block) and line.startswith("    ") != block[0].startswith("    ")
            if changes and not block[0].startswith("- "):
                yield block
                block = []
            block.append(line)
        elif block:
            yield block
            block = []


def _bullets(block: list[str]) -> str:
    out = []
    for line in block:
        new = line.startswith("- ")
        text = inline(line[2:] if new else line.strip())
        out.append(f".IP \\(bu 2\n{text}\n" if new else f"{text}\n")
    return "".join(out)


def _terms(block: list[str]) -> str:
    """Terms with what they mean; a meaning may run over several lines."""
    out: list[str] = []
    for position, line in enumerate(block):
        if line.startswith(": "):
            out.append(f"{inline(line[2:])}\n")
        elif position + 1 < len(block) and block[position + 1].startswith(": ") and not line.startswith(" "):
            out.append(f".TP\n{inline(line)}\n")
        else:
            out.append(f"{inline(line.strip())}\n")
    return "".join(out)
