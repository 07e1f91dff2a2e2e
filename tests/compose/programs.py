"""Small captioners and rewriters for tests: well behaved, or faulty in one way."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

PROGRAM = """
import json, os, sys, time
hello = json.loads(sys.stdin.readline())
role, log = hello["role"], {log!r}
def say(value):
    sys.stdout.write((value if isinstance(value, str) else json.dumps(value)) + "\\n")
    sys.stdout.flush()
say({{"tag": "toy " + role}})
def answer(request):
    if role == "caption":
        name = os.path.basename(request["image"]).split(".")[0]
        many = request.get("count", 1)
        if many > 1:
            return {{"captions": [f"{{name}} {{i}}" for i in range(many)]}}
        return {{"caption": "a " + name}}
    return {{"edited": request["caption"] + ", " + request["text"]}}
held = []
for line in sys.stdin:
    request = json.loads(line)
    with open(log, "a") as file:
        file.write(role + " " + str(request.get("image", request.get("caption"))).split("/")[-1] + "\\n")
    key, faulty = request["key"], {poison!r} in json.dumps(request)
    found = {{"key": key, **answer(request)}}
    if faulty:
{fault}
    else:
        say(found)
"""
FAULTS = {
    "crashes": "os._exit(9)",
    "hangs": "time.sleep(60)",
    "rubbish": "say('<html>')",
    "no object": "say([1])",
    "several lines": "say({'key': key, 'caption': 'one\\ntwo', 'edited': 'one\\ntwo'})",
    "many": "say({'key': key, 'captions': ['one', 'two'], 'edited': []})",
    "no words": "say({'key': key, 'caption': 3, 'edited': {}})",
    "nothing": "say({'key': key})",
    "empty": "say({'key': key, 'caption': ' ', 'edited': [7]})",
    "error": "say({'key': key, 'error': 'too dark'})",
    "too few": "pass",
}


def write_program(folder: Path, fault: str = "say(found)", poison: str = "poison", name: str = "p.py") -> str:
    """Write a program that takes both roles and answers faultily where a request says `poison`."""
    file = folder / name
    body = "\n".join(" " * 8 + line for line in fault.splitlines())
    file.write_text(PROGRAM.format(log=str(folder / "asked"), poison=poison, fault=body))
    return shlex.join([sys.executable, str(file)])


def asked(folder: Path) -> list[str]:
    """What the programs in a folder were asked, one line a request."""
    file = folder / "asked"
    return file.read_text().splitlines() if file.exists() else []
