"""Scorers that die, hang, answer out of order, NaN or too little: in the shell, as a user meets them."""

from __future__ import annotations

import json
import math

import pytest

QUERIES = 3
HITS = 4
BEST = ["3", "2", "1", "0"]
ONE_FAILED = [BEST, ["3", "1", "2", "0"], BEST]


@pytest.fixture
def hits(tmp_path):
    """Three queries with four hits each; the last hit is the best for every scorer here."""
    file = tmp_path / "hits.jsonl"
    records = [
        {"id": f"q{q}", "text": f"words {q}",
         "hits": [{"id": f"q{q}h{h}", "score": 1 - h / 10, "text": f"text {q} {h}"} for h in range(HITS)]}
        for q in range(QUERIES)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


GOOD = """
for line in sys.stdin:
    request = json.loads(line)
    open("asked", "a").write(request["id"] + "\\n")
    {fault}
    say({{"key": request["key"], "score": int(request["id"][-1])}})
"""


def ids(line):
    return [hit["id"][-1] for hit in json.loads(line)["hits"]]


def asked(tmp_path):
    file = tmp_path / "asked"
    found = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def rerank(command, more=""):
    return f"mmr rerank model --cmd '{command}' --cache answers {more} hits.jsonl"


def test_a_good_scorer_and_the_cache(sh, program, hits, tmp_path):
    command = program(GOOD.format(fault=""))
    first = sh(rerank(command))
    assert [ids(line) for line in first.lines] == [BEST] * QUERIES
    assert (first.status, first.stderr) == (0, "")
    assert len(asked(tmp_path)) == QUERIES * HITS
    again = sh(rerank(command))
    assert again.stdout == first.stdout
    assert again.stderr == "mmr rerank: 12 answers were in the cache and not asked for again.\n"
    assert asked(tmp_path) == []


def test_one_that_dies_once_midway_loses_nothing(sh, program, hits, tmp_path):
    fault = 'if request["id"] == "q1h2" and not os.path.exists("died"): open("died", "w"); os._exit(9)'
    found = sh(rerank(program(GOOD.format(fault=fault))))
    assert [ids(line) for line in found.lines] == [BEST] * QUERIES
    assert found.status == 0


def test_one_that_dies_on_one_hit(sh, program, hits, tmp_path):
    """The hit keeps its place, is reported, and is asked again by the next run, alone."""
    fault = 'if request["id"] == "q1h2" and os.path.exists("sick"): os._exit(9)'
    command = program(GOOD.format(fault=fault))
    (tmp_path / "sick").touch()
    found = sh(rerank(command, "--errors bad.jsonl"))
    assert [ids(line) for line in found.lines] == ONE_FAILED
    assert found.status == 3
    assert "line 2, hit q1h2: the program failed on it twice: it ended with status 9" in found.stderr
    scores = [hit["score"] for hit in json.loads(found.lines[1])["hits"]]
    assert scores == sorted(scores, reverse=True)
    (rejected,) = (json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines())
    assert (rejected["id"], rejected["stage"], len(rejected["hits"])) == ("q1", "rerank", HITS)
    (tmp_path / "sick").unlink()
    asked(tmp_path)
    resumed = sh(rerank(command))
    assert [ids(line) for line in resumed.lines] == [BEST] * QUERIES
    assert asked(tmp_path) == ["q1h2"]
    assert resumed.status == 0


def test_one_that_dies_for_good_and_the_run_that_goes_on(sh, program, hits, tmp_path):
    fault = 'if request["id"][:2] == "q2" and os.path.exists("sick"): os._exit(9)'
    command = program(GOOD.format(fault=fault))
    (tmp_path / "sick").touch()
    found = sh(rerank(command, "-o out.jsonl"))
    assert found.status == 69
    assert "failed 4 times in a row; at last it ended with status 9" in found.stderr
    assert not (tmp_path / "out.jsonl").exists()
    done = set(asked(tmp_path)) - {f"q2h{h}" for h in range(HITS)}
    (tmp_path / "sick").unlink()
    resumed = sh(rerank(command, "-o out.jsonl"))
    assert resumed.status == 0
    assert set(asked(tmp_path)) & done == set(), "what was answered is not asked again"
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [ids(line) for line in lines] == [BEST] * QUERIES


def test_a_killed_run_goes_on_where_it_was(sh, program, hits, tmp_path):
    """The scorer kills mmr itself, midway: what was answered before is not asked again."""
    fault = """if request["id"] == "q2h1" and os.path.exists("sick"):
        time.sleep(1); os.kill(os.getppid(), 9); sys.exit()"""
    command = program(GOOD.format(fault=fault))
    (tmp_path / "sick").touch()
    killed = sh(rerank(command, "-o out.jsonl"))
    assert killed.status in (-9, 137)
    assert not (tmp_path / "out.jsonl").exists()
    before = asked(tmp_path)[:-1]
    (tmp_path / "sick").unlink()
    resumed = sh(rerank(command, "-o out.jsonl"))
    assert resumed.status == 0
    assert "answers were in the cache and not asked for again" in resumed.stderr
    assert set(before) & set(asked(tmp_path)) == set()
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [ids(line) for line in lines] == [BEST] * QUERIES


def test_one_that_hangs(sh, program, hits, tmp_path):
    fault = 'if request["id"] == "q0h1": time.sleep(60)'
    found = sh(rerank(program(GOOD.format(fault=fault)), "--timeout 0.7"))
    assert [ids(line) for line in found.lines] == [["3", "1", "2", "0"], BEST, BEST]
    assert found.status == 3
    assert "hit q0h1: the program failed on it twice: it did not answer within 0.7 s" in found.stderr


def test_one_that_answers_out_of_order(sh, program, hits):
    command = program(f"""
import random
held = []
for number, line in enumerate(sys.stdin, 1):
    held.append(json.loads(line))
    if len(held) == 4 or number == {QUERIES * HITS}:
        random.Random(number).shuffle(held)
        while held:
            request = held.pop()
            say({{"key": request["key"], "score": int(request["id"][-1])}})
""")
    found = sh(rerank(command))
    assert [ids(line) for line in found.lines] == [BEST] * QUERIES
    assert found.status == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('"score": float("nan")', 'it answered with nan in "score"'),
        ('"score": None', 'it answered without a number in "score"; it has "score"'),
        ('"sore": 1', 'it answered without a number in "score"; it has "sore"'),
        ('"error": "too dark"', "the program says: too dark"),
    ],
)
def test_one_that_answers_nan_or_too_little(sh, program, hits, tmp_path, answer, words):
    fault = f"""if request["id"] == "q1h2" and os.path.exists("sick"):
        say({{"key": request["key"], {answer}}}); continue"""
    command = program(GOOD.format(fault=fault))
    (tmp_path / "sick").touch()
    found = sh(rerank(command))
    assert [ids(line) for line in found.lines] == ONE_FAILED
    assert found.status == 3
    assert found.stderr == f"mmr rerank: hits.jsonl line 2, hit q1h2: {words}; it keeps its place\n"
    (tmp_path / "sick").unlink()
    asked(tmp_path)
    resumed = sh(rerank(command))
    assert (resumed.status, asked(tmp_path)) == (0, ["q1h2"])


def test_a_query_goes_to_the_errors_once(sh, program, hits, tmp_path):
    """Fed back, it is asked again about what failed alone."""
    fault = """if request["id"] in ("q1h2", "q1h0") and os.path.exists("sick"):
        say({"key": request["key"]}); continue"""
    command = program(GOOD.format(fault=fault))
    (tmp_path / "sick").touch()
    found = sh(rerank(command, "--errors bad.jsonl"))
    assert [ids(line) for line in found.lines] == [BEST, ["0", "3", "2", "1"], BEST]
    assert "line 2: 2 hits got no score: q1h0: it answered without" in found.stderr
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1
    (tmp_path / "sick").unlink()
    asked(tmp_path)
    retried = sh(f"mmr rerank model --cmd '{command}' --cache answers bad.jsonl")
    assert [ids(line) for line in retried.lines] == [BEST]
    assert sorted(asked(tmp_path)) == ["q1h0", "q1h2"]


def test_the_cache_keeps_methods_apart(sh, program, hits, tmp_path):
    command = program(GOOD.format(fault='assert request["method"] in ("score", "likelihood")'))
    assert sh(rerank(command)).status == 0
    asked(tmp_path)
    found = sh(rerank(command, "--method likelihood --prior 0"))
    assert len(asked(tmp_path)) == QUERIES * HITS
    assert 'it answered without a number in "logprob"; it has "score"' in found.stderr
    assert found.status == 3


def test_one_that_cannot_start(sh, hits):
    found = sh("mmr rerank model --cmd ./nothing --no-cache hits.jsonl")
    assert (found.status, found.stdout) == (69, b"")
    assert "cannot be started" in found.stderr


def reply(served_body, yes, no):
    tokens = [{"token": "Yes", "logprob": math.log(yes)}, {"token": " no", "logprob": math.log(no)}]
    return {"choices": [{"message": {"content": "Yes"}, "logprobs": {"content": [{"top_logprobs": tokens}]}}]}


def number_of(body):
    """The number of the hit that a request to a server is about."""
    words = [part.get("text", "") for part in body["messages"][0]["content"]]
    return int(next(text for text in words if text.startswith("The candidate"))[-1])


def test_a_server_with_probabilities(sh, serve, hits):
    served = serve(lambda body, before: (200, reply(body, 0.2 + number_of(body) / 10, 0.4)))
    found = sh(f"mmr rerank model --url {served.url} --method yes-no --no-cache hits.jsonl")
    assert [ids(line) for line in found.lines] == [BEST] * QUERIES
    best = json.loads(found.lines[0])["hits"][0]
    assert best["score"] == pytest.approx(0.5 / 0.9)
    assert best["mass"] == pytest.approx(0.9)
    body = served.bodies[0]
    assert (body["logprobs"], body["max_tokens"], body["model"]) == (True, 1, "tiny")
    texts = [part["text"] for part in body["messages"][0]["content"]]
    assert texts[0].startswith("The query: words")
    assert texts[1].startswith("The candidate: text")
    assert found.status == 0


def test_a_server_that_is_busy_then_says_too_little(sh, serve, hits):
    def answer(body, before):
        if before < 2:
            return 429, {"error": {"message": "slowly"}}
        if "text 1 2" in str(body):
            return 200, {"choices": [{"message": {"content": "Yes"}}]}
        return 200, reply(body, 0.2 + number_of(body) / 10, 0.4)

    served = serve(answer)
    found = sh(f"mmr rerank model --url {served.url} --method yes-no --no-cache hits.jsonl")
    assert [ids(line) for line in found.lines] == ONE_FAILED
    assert found.status == 3
    assert "hit q1h2: the server's reply has no log-probabilities of its first token" in found.stderr


def test_a_server_that_is_not_there(sh, hits):
    found = sh("mmr rerank model --url http://127.0.0.1:9/v1 --method yes-no --no-cache hits.jsonl")
    assert (found.status, found.stdout) == (69, b"")


def test_a_server_gives_no_other_scores(sh, serve, hits):
    served = serve(lambda body, before: (500, {}))
    found = sh(f"mmr rerank model --url {served.url} --method likelihood hits.jsonl")
    assert found.status == 2
    assert "--url wants --method yes-no" in found.stderr
    assert sh(f"mmr rerank model --url {served.url} --cmd x hits.jsonl").status == 2
    assert sh("mmr rerank model hits.jsonl").status == 2
