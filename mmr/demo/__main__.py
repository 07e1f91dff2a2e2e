"""`python -m mmr.demo DIR`: draw the gallery."""

from __future__ import annotations

import sys
from pathlib import Path

from mmr.demo import draw

HELP = """Usage: python -m mmr.demo DIR

  Draw a gallery of small pictures, with captions, questions and edits.

  Examples:
    python -m mmr.demo gallery
    cd gallery && mmr embed pictures | mmr index pics.mmr
    mmr query pics.mmr --from queries.jsonl | mmr eval qrels.tsv -

Files:
  pictures/NAME.png  256 by 256 pixels; existing files are replaced
  items.jsonl        one record a picture: captions, object, colour, count, scene, time, style
  queries.jsonl      questions in words; qrels.tsv says which pictures answer them, and how well
  edits.jsonl        a picture, words that change it, and the target; edits.qrels for `mmr eval`

Exit status: 0 done, 2 wrong usage, 73 DIR cannot be written, 130 interrupted.
"""


def main(arguments: list[str]) -> int:
    """Draw the gallery into the folder named and return the exit status."""
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(HELP)
        return 0
    names = arguments[1:] if arguments[:1] == ["--"] else arguments
    if len(names) != 1 or (names is arguments and names[0].startswith("-")):
        sys.stderr.write(
            "mmr.demo: name one folder to draw into: python -m mmr.demo DIR (--help says more)\n"
        )
        return 2
    try:
        count = draw(Path(names[0]))
    except OSError as error:
        sys.stderr.write(f"mmr.demo: cannot write the gallery into {names[0]}: {error.strerror or error}.\n")
        sys.stderr.write("  Name a folder that you may write to.\n")
        return 73
    except KeyboardInterrupt:
        return 130
    files = "items.jsonl, queries.jsonl, qrels.tsv, edits.jsonl, edits.qrels"
    sys.stderr.write(f"mmr.demo: {names[0]}: {count} pictures, {files}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
