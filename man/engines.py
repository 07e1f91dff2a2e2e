"""The engines and their kinds as prose, from their table."""

from __future__ import annotations


def kinds() -> str:
    """A term an engine's kind, with its parameters."""
    from measured import sentence

    from mmr.index.engines import ENGINES

    out = []
    for row in ENGINES:
        for kind in row.kinds:
            usual = " The usual one." if kind is row.kinds[0] else ""
            params = "".join(
                f" `{param.name}={param.default}`: {param.note}, {param.low:,} to {param.high:,}."
                for param in kind.params
            )
            out.append(f"{row.name}, `{kind.name}`\n: {sentence(kind.summary)}{usual}{params}\n")
    return "\n".join(out)
