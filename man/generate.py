"""Write the man pages and the completions from the command tree and the prose beside this file.

usage: python man/generate.py [--check]     --check writes nothing; status 1 where a file is not up to date
"""

from __future__ import annotations

import json
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import compositions  # noqa: E402
import figures  # noqa: E402
import learned  # noqa: E402
import roff  # noqa: E402
import shells  # noqa: E402
import tree  # noqa: E402

from mmr import __version__  # noqa: E402
from mmr.cli.status import MEANINGS  # noqa: E402

DATE = "2026-11-21"
PROSE = HERE / "prose"
EVERYWHERE = ("", "embed", "index", "query", "compose", "normalize", "fit", "eval", "show")

EMBEDDING = ("", "embed", "query", "compose")


class Variable(NamedTuple):
    """An environment variable, the commands that read it ("" is `mmr` itself), and what it does."""

    name: str
    readers: tuple[str, ...]
    effect: str


VARIABLES = (
    Variable("MMR_MODEL", EMBEDDING, "The encoder where neither `--model` nor an index names one; a spec or "
             "a short name. Default: `builtin`."),
    Variable("MMR_API_KEY", ("", "compose", "rerank"), "The key that a server named by `--url` and the like "
             "wants; sent to it as a bearer token."),
    Variable("MMR_DEBUG", EVERYWHERE, "Set to anything: show the traceback of an error, as "
             "`mmr --debug` does."),
    Variable("NO_COLOR", EVERYWHERE, "Set to anything: no colours."),
    Variable("FORCE_COLOR", ("", "query", "rerank", "normalize", "show"), "Set to anything but `0`: colours "
             "in tables, also where the output is no terminal. `NO_COLOR` wins."),
    Variable("COLUMNS", ("", "query", "rerank", "normalize", "show"), "The width of tables. Default: the "
             "terminal's; without a terminal nothing is cut."),
    Variable("OPENBLAS_NUM_THREADS", ("", "embed", "query", "compose", "normalize", "fit"), "Threads for "
             "arithmetic, as are `OMP_NUM_THREADS` and `MKL_NUM_THREADS`. `mmr` sets each to 1 where it is "
             "not set; `--threads` sets all three."),
    Variable("HF_HOME", EMBEDDING, "Where downloaded weights are looked for and kept; "
             "`HF_HUB_CACHE` names the folder of the weights itself."),
    Variable("XDG_CACHE_HOME", EMBEDDING, "Where caches lie: the hashes of weights, and weights "
             "without `HF_HOME`. Default: `~/.cache`."),
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


def results() -> str:
    """What the benchmarks wrote into results.jsonl, as prose."""
    rows = [json.loads(line) for line in (HERE / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    out = []
    for row in rows:
        held = "holds" if row["ratio"] <= row["limit"] else "missed"
        out.append(
            f"{row['name']}\n: {row['ours']:.4g} {row['unit']} against {row['peer']:.4g} {row['unit']}: "
            f"ratio {row['ratio']:.3f}, at most {row['limit']:g}: {held}. {row['machine']}.\n"
        )
    return "\n".join(out)


def chosen_from() -> str:
    """What kinds take at a recall of .99, as written by tests/benchmarks/test_plan.py."""
    lines = (HERE / "plans.jsonl").read_text(encoding="utf-8").splitlines()
    out: list[str] = []
    for name, rows in groupby(map(json.loads, lines), lambda row: row["set"]):
        held = sorted(rows, key=lambda row: (row["recall"] < 0.99, row["ms"]))
        exact = min(row["exact_ms"] for row in held)
        out.append(
            f"{name}; the exact search takes {exact:.3g} ms a query:\n\n"
            f"    {'kind':<18}{'setting':<20}recall  ms a query  bytes  built in\n"
        )
        for row in held:
            out.append(f"    {row['kind']:<18}{row['setting']:<20}{row['recall']:.4f}  {row['ms']:<10.3f}  "
                       f"{row['bytes']:<5.0f}  {row['built']:.1f} s\n")  # fmt: skip
        out.append("\n")
    return "".join(out)


def corrected() -> str:
    """What the corrections did to real vectors, as written by tests/benchmarks/test_corrections.py."""
    lines = (HERE / "corrections.jsonl").read_text(encoding="utf-8").splitlines()
    out: list[str] = []
    for name, rows in groupby(map(json.loads, lines), lambda row: row["set"]):
        first, *_ = held = list(rows)
        out.append(
            f"{sentence(name)} Before: R@1 {first['before']:.1f} %, skewness {first['skew_before']:.2f}, "
            f"{first['antihubs_before']:.1%} of the items in no list of ten.\n\n"
            "    method    R@1    change          skewness  in no list\n"
        )
        for row in held:
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(f"    {row['method']:<9} {row['after']:.1f}   {span:<15} {row['skew_after']:.2f}      "
                       f"{row['antihubs_after']:.1%}\n")  # fmt: skip
        out.append("\n")
    return "".join(out)


def reranked(file: str = "rerank.jsonl") -> str:
    """What the methods of mmr-rerank(1) did, as written by tests/benchmarks/test_rerank_*.py."""
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    out: list[str] = []
    for name, rows in groupby(map(json.loads, lines), lambda row: row["set"]):
        first, *_ = held = list(rows)
        width = max(22, *(len(row["method"]) for row in held))
        out.append(
            f"{sentence(name)} {first['queries']:,} queries. "
            f"Before: {first['measure']} {first['before']:.1f}.\n\n"
            f"    {'method':<{width}}  {first['measure']:<6}  change\n"
        )
        for row in held:
            sign = "" if row["low"] <= 0 <= row["high"] else "  better" if row["low"] > 0 else "  worse"
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(f"    {row['method']:<{width}}  {row['after']:<6.1f}  {span}{sign}\n")
        out.append("\n")
    return "".join(out)


def words() -> str:
    """What the bank of words that ships did, as written by tests/benchmarks/test_words.py."""
    lines = (HERE / "words.jsonl").read_text(encoding="utf-8").splitlines()
    out: list[str] = []
    for name, rows in groupby(map(json.loads, lines), lambda row: row["set"]):
        first, *_ = held = list(rows)
        out.append(
            f"{sentence(name)} Before: R@1 {first['before']:.1f} %, skewness {first['skew_before']:.2f}, "
            f"{first['antihubs_before']:.1%} of the items in no list of ten.\n\n"
            "    method                      bank      R@1    change        skewness  in no list\n"
        )
        for row in held:
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(f"    {row['method']:<27} {row['bank']:<9} {row['after']:<6.1f} {span:<13} "
                       f"{row['skew_after']:<9.2f} {row['antihubs_after']:.1%}\n")  # fmt: skip
        out.append("\n")
    return "".join(out)


def builtin() -> str:
    """What `make builtin-eval` measured of the built-in encoder, as prose."""
    if not (HERE / "builtin.jsonl").is_file():
        return "Not measured yet."
    rows = [json.loads(line) for line in (HERE / "builtin.jsonl").read_text(encoding="utf-8").splitlines()]
    out = []
    for row in rows:
        least = row.get("unit") not in {"MB", "ms"}
        number = f"{row['value']:.3g} {row['unit']}" if "unit" in row else f"{row['value']:.3f}"
        span = f" ({row['low']:.3f} to {row['high']:.3f})" if "low" in row else ""
        wanted = ""
        if "wanted" in row:
            met = row["value"] >= row["wanted"] if least else row["value"] <= row["wanted"]
            asked = f"{'at least' if least else 'at most'} {row['wanted']:g} asked for"
            wanted = f"; {asked}: {'reached' if met else 'missed'}"
        size = f" {row['size']}." if "size" in row else ""
        measure = f", {row['measure']}" if "measure" in row else ""
        out.append(f"{row['name']}{measure}\n: {number}{span}{wanted}.{size}\n")
    return "\n".join(out)


def _extra(needs: str) -> str:
    return f" Needs `pip install 'mmr[{needs}]'`." if needs else ""


def sentence(words: str) -> str:
    """Words with a capital and a full stop."""
    return f"{words[0].upper()}{words[1:].rstrip('.')}."


def read_prose(title: str, section: int) -> dict[str, str]:
    """The sections of a page's prose, with the tables of the code in their places."""
    text = (PROSE / f"{title}.{section}.md").read_text(encoding="utf-8")
    from mmr.pictures.decode import PIXELS

    values = {"{kinds}": kinds(), "{models}": models(), "{pixels}": f"{PIXELS:,}", "{results}": results(),
              "{measures}": measures(), "{protocols}": protocols(), "{builtin}": builtin(),
              "{kind_figures}": figures.kinds(), "{code_figures}": figures.codes(),
              "{corrections}": corrections(), "{scales}": scales(), "{reranks}": reranks(),
              "{reranked}": reranked(), "{rerank_scores}": reranked("rerank-scores.jsonl"),
              "{cuts}": figures.cuts(),
              "{chosen_from}": chosen_from(),
              "{corrected}": corrected(), "{words}": words(),
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
