"""Write the man pages and the completions from the command tree and the prose beside this file.

usage: python man/generate.py [--check]     --check writes nothing; status 1 where a file is not up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import compositions  # noqa: E402
import engines  # noqa: E402
import figures  # noqa: E402
import learned  # noqa: E402
import measured  # noqa: E402
import roff  # noqa: E402
import shells  # noqa: E402
import tree  # noqa: E402
from measured import sentence  # noqa: E402

from mmr import __version__  # noqa: E402
from mmr.cli.status import MEANINGS  # noqa: E402

DATE = "2026-11-21"
PROSE = HERE / "prose"
EVERYWHERE = ("", "embed", "index", "query", "compose", "rerank", "normalize", "fit", "eval", "show")
EMBEDDING = ("", "embed", "query", "compose")


class Variable(NamedTuple):
    """An environment variable, the commands that read it ("" is `mmr` itself), and what it does."""

    name: str
    readers: tuple[str, ...]
    effect: str


VARIABLES = (
    Variable("MMR_MODEL", EMBEDDING, "The encoder where neither `--model` nor an index names one; a spec or "
             "a short name. Default: `builtin`."),
    Variable("MILVUS_TOKEN", tuple(name for name in EVERYWHERE if name != "show"), "The token of a Milvus "
             "server whose address has none; see mmr-engines(7)."),
    Variable("MMR_API_KEY", ("", "compose", "rerank"), "The key that a server named by `--url` and the like "
             "wants; sent to it as a bearer token."),
    Variable("MMR_DEBUG", EVERYWHERE, "Set to anything: show the traceback of an error, as "
             "`mmr --debug` does."),
    Variable("NO_COLOR", EVERYWHERE, "Set to anything: no colours."),
    Variable("FORCE_COLOR", ("", "query", "rerank", "normalize", "show"), "Set to anything but `0`: colours "
             "in tables, also where the output is no terminal. `NO_COLOR` wins."),
    Variable("COLUMNS", ("", "query", "rerank", "normalize", "show"), "The width of tables. Default: the "
             "terminal's; without a terminal nothing is cut."),
    Variable("OPENBLAS_NUM_THREADS", EVERYWHERE, "Threads for "
             "arithmetic, as are `OMP_NUM_THREADS` and `MKL_NUM_THREADS`. `mmr` sets each to 1 where it is "
             "not set; `--threads` sets all three."),
    Variable("HF_HOME", EMBEDDING, "Where downloaded weights are looked for and kept; "
             "`HF_HUB_CACHE` names the folder of the weights itself."),
    Variable("XDG_CACHE_HOME", (*EMBEDDING, "rerank", "fit"), "Where caches lie: the hashes of weights, "
             "text towers, answers of programs and servers, and weights without `HF_HOME`. Default: "
             "`~/.cache`."),
)  # fmt: skip


def kinds() -> str:
    """The kinds of an index as prose, from their table."""
    from mmr.index.table import AUTO, KINDS, adapter, parse

    out = []
    for row in (AUTO, *KINDS):
        source = f" ({row.source})" if row.source else ""
        least = adapter(row.name).needs(64, parse(row.name)[1]) if row.loads else 0
        needs = f" Training needs {least:,} vectors, as it is set here, of 64 numbers." if least else ""
        out.append(f"`{row.name}`\n: {sentence(row.summary)}{needs}{source}\n")
        for param in row.params:
            span = " or ".join(param.choices) if param.choices else f"{param.low:,} to {param.high:,}"
            out.append(f"`{row.name}:{param.name}={param.default}`\n: {sentence(param.note)} {span}.\n")
    return "\n".join(out)


def models() -> str:
    """The encoders as prose, from their table."""
    from mmr.encoders.table import ROWS, SHORT

    out = [f"`{row.form}`\n: {row.summary}{_extra(row.needs)}\n" for row in ROWS]
    for short in SHORT:
        out.append(f"`{short.name}`\n: `{short.spec}`, {short.megabytes:,} MB to download. {short.summary}\n")
    return "\n".join(out)


def measures() -> str:
    """The measures of mmr-eval(1) as prose, from their table; `rel` is explained once, under CONVENTIONS."""
    from mmr.evaluate.table import MEASURES

    out = []
    for row in MEASURES:
        source = f" ({row.source})" if row.source else ""
        params = "".join(f" `{p.name}`: {p.note} ({p.range})." for p in row.params if p.name != "rel")
        out.append(f"`{row.form}`\n: {sentence(row.summary)}{params}{source}\n")
    return "\n".join(out)


def protocols() -> str:
    """The protocols of mmr-eval(1) as prose, from their table."""
    from mmr.evaluate.protocols.table import PROTOCOLS

    return "\n".join(
        f"`{row.name}`\n: {sentence(row.summary)} Files: `{row.files}`. Figures: {row.figures}."
        f" ({row.source})\n"
        for row in PROTOCOLS
    )


def corrections() -> str:
    """The methods of mmr-fit(1) as prose, from their table."""
    from mmr.normalize.table import METHODS

    out = []
    for row in METHODS:
        params = "".join(f" `{p.option}`: {p.note} ({p.default:g})." for p in row.params)
        knobs = [f"`{p.option}`" for p in row.params if p.knob]
        turned = f" {' and '.join(knobs)} can be changed when it is applied." if knobs else ""
        whole = "" if row.affine else " An index cannot hold it."
        needs = " Needs the query's vector beside its hits." if row.query else ""
        out.append(f"`{row.name}`\n: {sentence(row.summary)}{params}{turned}{whole}{needs} {row.safe}. "
                   f"({row.source})\n")  # fmt: skip
    return "\n".join(out)


def presets() -> str:
    """The presets of mmr-compose(1) as prose, from their table."""
    from mmr.compose.table import PRESETS

    out = []
    for row in PRESETS:
        params = "".join(f" `{p.option}`: {p.note} ({p.default:g})." for p in row.params)
        out.append(f"`{row.name}`: `{row.expression}`\n: {sentence(row.summary)}{params} {row.safe}. "
                   f"({row.source})\n")  # fmt: skip
    return "\n".join(out)


def recipes() -> str:
    """The recipes of mmr-compose(1) as prose, from their table."""
    from mmr.compose.table import RECIPES

    out = []
    for row in RECIPES:
        params = "".join(f" `{p.option}`: {p.note} ({p.default:g})." for p in row.params)
        choices = "".join(f" `--{name}`: {note}: {', '.join(of)}." for name, of, note in row.choices)
        out.append(f"`{row.name}`: {row.expression}\n: {sentence(row.summary)}{params}{choices} {row.safe}. "
                   f"({row.source})\n")  # fmt: skip
    return "\n".join(out)


def reranks() -> str:
    """The methods of mmr-rerank(1) as prose, from their table."""
    from mmr.rerank.table import METHODS

    out = []
    for row in METHODS:
        params = "".join(f" `{p.option}`: {p.note}{_default(p.default)}." for p in row.params)
        source = f" ({row.source})" if row.source else ""
        out.append(f"`{row.name}`\n: {sentence(row.summary)}{params} {row.safe}.{source}\n")
    return "\n".join(out)


def _default(value: object) -> str:
    """A default in brackets, where a parameter has one that says something."""
    return (
        ""
        if value in (None, False, "", ())
        else f" ({value:g})"
        if isinstance(value, float)
        else f" ({value})"
    )


def scales() -> str:
    """The scales of mmr-normalize(1) as prose, from their table."""
    from mmr.normalize.table import SCALES

    return "\n".join(f"`{row.name}`\n: {sentence(row.summary)} {row.note}.\n" for row in SCALES)


def _extra(needs: str) -> str:
    return f" Needs `pip install 'mmr[{needs}]'`." if needs else ""


def read_prose(title: str, section: int) -> dict[str, str]:
    """The sections of a page's prose, with the tables of the code in their places."""
    text = (PROSE / f"{title}.{section}.md").read_text(encoding="utf-8")
    from mmr.pictures.decode import PIXELS

    values = {"{kinds}": kinds(), "{models}": models(), "{pixels}": f"{PIXELS:,}",
              "{results}": measured.results(), "{measures}": measures(), "{protocols}": protocols(),
              "{builtin}": measured.builtin(), "{engines}": engines.kinds(),
              "{kind_figures}": figures.kinds(), "{encodings}": figures.encodings(),
              "{code_figures}": figures.codes(),
              "{corrections}": corrections(), "{scales}": scales(), "{reranks}": reranks(),
              "{reranked}": measured.reranked(),
              "{rerank_scores}": measured.reranked("rerank-scores.jsonl"), "{cuts}": figures.cuts(),
              "{chosen_from}": measured.chosen_from(), "{corrected}": measured.corrected(),
              "{words}": measured.words(), "{regions}": figures.regions(), "{hybrid}": figures.hybrid(),
              "{presets}": presets(), "{recipes}": recipes(),
              "{stress}": compositions.stress(), "{edits}": compositions.edits()}  # fmt: skip
    for name, value in {**values, **learned.values(sentence)}.items():
        text = text.replace(name, value)
    return roff.sections(text)


def head(title: str, section: int) -> str:
    """The first lines of a page."""
    return (
        '.\\" Written by man/generate.py; edit man/prose/ or the command instead.\n'
        f'.TH {title.upper()} {section} {DATE} "mmr {__version__}" "mmr manual"\n'
        ".nh\n.ad l\n"
    )


def name_section(title: str, summary: str) -> str:
    """The NAME section, in the form that apropos(1) reads."""
    summary = summary.rstrip(".")
    return f".SH NAME\n{roff.plain(title)} \\- {roff.plain(summary[0].lower() + summary[1:])}\n"


def synopsis(command: tree.Command) -> str:
    """The SYNOPSIS of a command: names that stand for something are slanted."""
    pieces = [re.sub(r"[A-Z][A-Z_]*", lambda m: roff.slanted(m[0]), piece) for piece in command.usage]
    typed = roff.bold(f"mmr {command.name}".strip())
    return f".SH SYNOPSIS\n{typed} {' '.join(pieces)}\n"


def options_section(command: tree.Command) -> str:
    """The OPTIONS section: every option as `--help` has it."""
    out = [".SH OPTIONS\n"]
    for option in command.options:
        names = ", ".join(map(roff.bold, option.names))
        value = f" {roff.slanted(option.value)}" if option.value else ""
        of = f" Of {', '.join(f'`{name}`' for name in option.methods)}." if option.methods else ""
        out.append(f".TP\n{names}{value}\n{roff.inline(option.help + of)}\n")
    return "".join(out)


def exit_section() -> str:
    """The EXIT STATUS section, from the one table that the program itself uses."""
    rows = "".join(f".TP\n{roff.bold(str(code))}\n{roff.inline(text)}\n" for code, text in MEANINGS.items())
    return f".SH EXIT STATUS\n{rows}"


def environment_section(command: str) -> str:
    """The ENVIRONMENT section: the variables that this command reads."""
    rows = [v for v in VARIABLES if command in v.readers]
    return ".SH ENVIRONMENT\n" + "".join(f".TP\n{roff.bold(v.name)}\n{roff.inline(v.effect)}\n" for v in rows)


def commands_section() -> str:
    """The COMMANDS section of mmr(1)."""
    rows = [
        f".TP\n{roff.bold(f'mmr {command.name}')}\n{roff.inline(command.summary)}\n"
        for command in tree.commands()
    ]
    return f".SH COMMANDS\n{''.join(rows)}"


def command_page(command: tree.Command, title: str) -> str:
    """The page of one command, or of `mmr` itself."""
    prose = read_prose(title, 1)
    last = {name: prose.pop(name) for name in ("FILES", "EXAMPLES", "SEE ALSO")}
    summary = prose.pop("NAME", command.summary).strip()
    out = [head(title, 1), name_section(title, summary), synopsis(command)]
    out.append(f".SH DESCRIPTION\n{roff.page(prose.pop('DESCRIPTION'))}")
    if not command.name:
        out.append(commands_section())
    out.append(options_section(command))
    out += [f".SH {name}\n{roff.page(text)}" for name, text in prose.items()]
    out += [exit_section(), environment_section(command.name)]
    out += [f".SH {name}\n{roff.page(text)}" for name, text in last.items()]
    return "".join(out)


def prose_page(title: str, section: int) -> str:
    """A page that is prose alone."""
    prose = read_prose(title, section)
    out = [head(title, section), name_section(title, prose.pop("NAME").strip())]
    out += [f".SH {name}\n{roff.page(text)}" for name, text in prose.items()]
    return "".join(out)


def files() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    found = {HERE / "man1" / "mmr.1": command_page(tree.program(), "mmr")}
    for command in tree.commands():
        title = f"mmr-{command.name}"
        found[HERE / "man1" / f"{title}.1"] = command_page(command, title)
    for title, section in (
        ("mmr-stream", 5),
        ("mmr-index", 5),
        ("mmr-results", 7),
        ("mmr-builtin", 7),
        ("mmr-protocols", 7),
        ("mmr-engines", 7),
    ):
        found[HERE / f"man{section}" / f"{title}.{section}"] = prose_page(title, section)
    completions = HERE.parent / "completions"
    for name, script in shells.scripts(tree.program(), tree.commands()).items():
        found[completions / name] = script
    return found


def main(arguments: list[str]) -> int:
    """Write the files, or with --check compare them; return the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(__doc__ or "")
        return 2
    stale = []
    for path, text in files().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path.relative_to(HERE.parent)))
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if arguments and stale:
        sys.stderr.write(f"not up to date: {', '.join(stale)}\n  `make docs` writes them again.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
