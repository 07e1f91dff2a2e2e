"""A model's scores: the worked case, each trap by name, what answers mean, and the order that they give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import UsageError
from mmr.programs.ask import open_program
from mmr.programs.window import Answer
from mmr.rerank.apply import reranked
from mmr.rerank.asked import masses, problem, read
from mmr.rerank.method import Tools
from mmr.rerank.model import final, untied
from mmr.rerank.prompts import PROMPTS, load_prompt
from mmr.rerank.table import find
from mmr.stream.records import Record

ROW = find("model")


class Fake:
    """A scorer inside the test: answers a request by a function, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []
        self.hello, self.repeated = {"tag": "fake 1"}, 0

    def __call__(self, chat, check):
        self.check = check
        return self

    def answers(self, requests):
        for request in requests:
            self.asked.append(dict(request))
            fields = self.answer(request)
            problem = fields if isinstance(fields, str) else self.check(fields)
            yield Answer(None, problem) if problem else Answer(fields)


def record(scores, name="q", **more):
    hits = [{"id": f"{name}{i}", "score": score, "text": f"t{i}"} for i, score in enumerate(scores)]
    return Record({"id": name, "text": "a red apple", "hits": hits, **more})


def run(answer, scores=(0.9, 0.8, 0.7, 0.6), records=None, said=None, bad=None, **values):
    scorer = answer if isinstance(answer, Fake) else Fake(answer)
    notes = [] if said is None else said
    tools = Tools(scorer=scorer, note=notes.append)
    explain = values.pop("explain", False)
    found = list(
        reranked([record(scores)] if records is None else records, ROW, values, tools=tools, explain=explain,
                 reject=pytest.fail if bad is None else bad.append)
    )  # fmt: skip
    return found[0] if records is None else found


def ids(found):
    return [hit["id"] for hit in found["hits"]]


def by_place(values, name="score"):
    return lambda request: {name: values[int(request["id"][1:])]}


def test_yes_no_worked():
    assert read("yes-no", {"yes": 0.62, "no": 0.18}) == (pytest.approx(0.775), pytest.approx(0.8))


def test_the_order_of_the_model_and_what_was_before():
    found = run(by_place([0.1, 0.4, 0.3, 0.9]))
    assert ids(found) == ["q3", "q1", "q2", "q0"]
    assert [hit["prev_rank"] for hit in found["hits"]] == [4, 2, 3, 1]
    assert [hit["prev_score"] for hit in found["hits"]] == [0.6, 0.8, 0.7, 0.9]
    assert found["via"] == ["rerank model method=score budget=100 final=replace by fake 1"]


def test_trap_the_mass_of_yes_and_no_is_kept_and_doubted():
    said = []
    found = run(lambda request: {"yes": 0.02, "no": 0.01}, said=said, method="yes-no")
    assert [hit["mass"] for hit in found["hits"]] == pytest.approx([0.03] * 4)
    assert said[0].startswith("4 answers have p(yes) + p(no) under 0.9, the lowest 0.0300")


def test_a_sure_model_is_not_doubted():
    said = []
    run(lambda request: {"yes": 0.5, "no": 0.45}, said=said, method="yes-no")
    assert said == []


def test_trap_neither_yes_nor_no_is_one_half_and_flagged():
    answers = {"q1": {"yes": 0.9, "no": 0.0}, "q2": {"yes": 0.0, "no": 0.1}}
    found = run(lambda request: answers.get(request["id"], {"yes": 0, "no": 0}), method="yes-no")
    hits = {hit["id"]: hit for hit in found["hits"]}
    assert [float(hits[name]["score"]) for name in ("q0", "q1", "q2")] == pytest.approx([0.5, 1, 0])
    assert [hits[name].get("unanswered") for name in ("q0", "q1", "q2", "q3")] == [True, None, None, True]


def test_trap_the_token_of_yes_depends_on_case_and_blanks():
    tokens = {"Yes": -1.0, " yes": -2.0, "YES": -3.0, "▁Yes": -4.0, "Ġyes": -5.0, "No": -1.5, "yesterday": -1}
    found = masses(tokens, "yes", "no")
    assert found["yes"] == pytest.approx(sum(math.exp(-n) for n in range(1, 6)), abs=1e-12)
    assert found["no"] == pytest.approx(math.exp(-1.5), abs=1e-12)
    assert masses({"maybe": -0.1}, "yes", "no") == {"yes": 0, "no": 0}
    assert masses({"True": -0.1}, "true", "false")["yes"] == pytest.approx(math.exp(-0.1))


def test_trap_likelihood_is_a_mean_and_the_prior_comes_off():
    assert read("likelihood", {"logprobs": [-1.0, -2.0, -6.0]}).score == -3

    def answer(request):
        return {"logprob": -4.0} if request.get("blank") else {"logprob": -float(request["id"][1:])}

    scorer = Fake(answer)
    found = run(scorer, method="likelihood")
    assert [float(hit["score"]) for hit in found["hits"]] == [4, 3, 2, 1]
    assert [request.get("blank") for request in scorer.asked] == [True, None, None, None, None]
    found = run(answer, method="likelihood", prior=0)
    assert [float(hit["score"]) for hit in found["hits"]] == [0, -1, -2, -3]
    found = run(answer, method="likelihood", prior=0.5)
    assert [float(hit["score"]) for hit in found["hits"]] == [2, 1, 0, -1]


def test_without_its_prior_a_query_is_left_as_it_was():
    bad = []
    found = run(lambda r: "no blank pictures here" if r.get("blank") else {"logprob": -1.0}, bad=bad,
                method="likelihood")  # fmt: skip
    assert ids(found) == ["q0", "q1", "q2", "q3"]
    said = "the query alone got no likelihood: no blank pictures here"
    assert [str(item) for item in bad] == [
        f"q: 4 hits got no score: q0: {said}; q1: {said}; q2: {said}; and 1 more; they keep their places"
    ]


def test_the_budget_is_spent_from_the_top():
    scorer = Fake(by_place([0.1, 0.9, 5, 5]))
    found = run(scorer, budget=2, explain=True)
    assert [request["id"] for request in scorer.asked] == ["q0", "q1"]
    assert ids(found) == ["q1", "q0", "q2", "q3"]
    scores = [float(hit["score"]) for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert found["hits"][2]["why"] == "not asked: beyond the budget of 2 calls"
    prior = Fake(lambda request: {"logprob": -1.0})
    run(prior, method="likelihood", budget=3)
    assert len(prior.asked) == 3


def test_trap_ties_are_broken_by_the_first_stage():
    found = run(lambda request: {"score": 1.0})
    assert ids(found) == ["q0", "q1", "q2", "q3"]
    assert [float(hit["score"]) for hit in found["hits"]] == pytest.approx([1] * 4, abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=9))
def test_untied_scores_rank_as_the_model_then_as_before(values):
    names = [f"i{place}" for place in range(len(values))]
    found = untied(np.array(values), names)
    exact = np.float32(found)
    order = sorted(range(len(values)), key=lambda place: (exact[place], names[place]), reverse=True)
    assert order == sorted(range(len(values)), key=lambda place: (-values[place], place))
    assert found == pytest.approx(values, abs=1e-5)


def test_convex():
    model, first = np.array([0.2, 0.9, 0.5]), np.array([0.8, 0.6, 0.4])
    assert final(model, first, 0.5, True) == pytest.approx([0.6, 0.7, 0.25], abs=1e-10)
    assert final(model, first, 0.25, False) == pytest.approx(
        [0.75, 0.25 + 0.375, 0.25 * 0.3 / 0.7], abs=1e-10
    )
    found = run(by_place([0.0, 1.0, 0.5, 0.25]), final="convex", weight=0.5)
    assert ids(found) == ["q1", "q0", "q2", "q3"]
    assert [hit["model_score"] for hit in found["hits"]] == [1.0, 0.0, 0.5, 0.25]
    assert ids(run(by_place([0.0, 1.0, 0.5, 0.25]), final="convex", weight=0)) == ["q0", "q1", "q2", "q3"]


def test_up_to_k_may_be_empty():
    answer = by_place([0.2, 0.9, 0.6, 0.4])
    assert ids(run(answer, min_score=0.5)) == ["q1", "q2"]
    assert ids(run(answer, min_score=0.95)) == []
    assert ids(run(answer, min_score=0.1, budget=2)) == ["q1", "q0"], "what was not asked is not kept"


@pytest.mark.parametrize(
    ("method", "fields", "words"),
    [
        ("score", {"score": math.nan}, 'it answered with nan in "score"'),
        ("score", {"score": math.inf}, 'it answered with inf in "score"'),
        ("score", {"score": "high"}, 'without a number in "score"; it has "score"'),
        ("score", {"score": True}, 'without a number in "score"'),
        ("score", {"yes": 1}, 'without a number in "score"; it has "yes"'),
        ("score", {}, "it has nothing"),
        ("yes-no", {"yes": 0.5}, 'without a number in "no"'),
        ("yes-no", {"yes": 1.5, "no": 0.2}, "which are no probabilities"),
        ("yes-no", {"yes": -0.1, "no": 0.2}, "which are no probabilities"),
        ("likelihood", {"logprobs": []}, 'without a number in "logprob"'),
        ("likelihood", {"logprobs": [-1, None]}, 'without a number in "logprobs"'),
        ("score", {"score": 0.5}, ""), ("yes-no", {"yes": 0, "no": 0}, ""),
        ("likelihood", {"logprob": -2}, ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_answer(method, fields, words):
    found = problem(method, fields)
    assert (words in found) if words else found == ""


def test_a_hit_without_a_score_keeps_its_place_and_is_reported():
    bad = []
    found = run(lambda r: {"score": math.nan if r["id"] == "q1" else float(r["id"][1:])}, bad=bad)
    assert ids(found) == ["q3", "q1", "q2", "q0"]
    assert [str(item) for item in bad] == [
        "q, hit q1: it answered with nan in \"score\"; it keeps its place",
    ]  # fmt: skip
    scores = [float(hit["score"]) for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_a_failed_hit_survives_a_threshold():
    bad = []
    found = run(lambda r: "busy" if r["id"] == "q1" else {"score": 0.2}, bad=bad, min_score=0.5)
    assert ids(found) == ["q1"]


def test_what_a_query_gets_depends_on_no_other():
    records = [record((0.9, 0.8, 0.7), name) for name in "abc"] + [record((), "d")]
    answer = by_place([0.3, 0.3, 0.9])
    together = run(answer, records=records)
    alone = [run(answer, records=[record((0.9, 0.8, 0.7), name)])[0] for name in "abc"]
    assert [one["hits"] for one in together[:3]] == [one["hits"] for one in alone]
    assert together[3]["hits"] == []


def test_what_is_asked(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"not looked at")
    hits = [{"id": "x", "score": 1.0, "image": str(picture)}, {"id": "y", "score": 0.5},
            {"id": "z", "score": 0.2, "image": "nowhere.png", "text": "words"}]  # fmt: skip
    scorer = Fake(lambda request: {"yes": 1, "no": 0})
    run(scorer, records=[Record({"id": "q", "image": str(picture), "text": "at night", "hits": hits,
                                 "vector": np.ones(3)})], method="yes-no")  # fmt: skip
    first, second, third = scorer.asked
    assert set(first) == {
        "qid",
        "method",
        "query",
        "query_image",
        "query_digest",
        "prompt",
        "id",
        "image",
        "digest",
    }
    assert first["image"] == first["query_image"] == str(picture)
    assert first["prompt"] == load_prompt("yes-no").question
    assert second["item"] == second["id"] == "y", "the cache leaves ids out"
    assert (third["image"], third["text"]) == ("nowhere.png", "words")
    assert "digest" not in third


def test_words_of_queries_and_hits_from_elsewhere():
    scorer = Fake(lambda request: {"score": 1})
    tools = Tools(
        scorer=scorer, note=print, queries={"q": Record({"id": "q", "text": "a pear"})},
        fields_of=lambda names, fields: [{"id": name, "text": f"stored {name}"} for name in names],
    )  # fmt: skip
    run_ = Record({"id": "q", "hits": [{"id": "a", "score": 1}, {"id": "b", "score": 0.5, "text": "own"}]})
    list(reranked([run_], ROW, {}, tools=tools, reject=pytest.fail))
    assert [(r["query"], r["text"]) for r in scorer.asked] == [("a pear", "stored a"), ("a pear", "own")]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"prompt": "yes-no"},
            "--prompt means nothing to --method score\n  Leave it out, or use --method yes-no.",
        ),
        ({"prior": 1, "method": "yes-no"}, "--method yes-no\n  Leave it out, or use --method likelihood."),
        ({"weight": 0.3}, "--weight is of --final convex"),
        ({"prompt": "maybe", "method": "yes-no"}, "no such prompt 'maybe'"),
        ({"budget": 0}, "it must be a whole number, 1 or more"),
    ],
)
def test_wrong_options(values, words):
    with pytest.raises(UsageError, match=words):
        run(lambda request: {"score": 1}, **values)


def test_without_a_scorer():
    with pytest.raises(UsageError, match="needs a program or a server"):
        list(reranked([], ROW, {}, tools=Tools(), reject=pytest.fail))


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_name_their_source_and_their_words(name):
    found = load_prompt(name)
    assert found.source.startswith("after ")
    assert found.yes in found.question.lower()
    assert found.no in found.question.lower()


def test_a_program_in_any_order(program):
    """Real programs, answers last first."""
    command = program("""
held = []
for line in sys.stdin:
    held.append(json.loads(line))
    if len(held) == 4:
        for request in reversed(held):
            say({"key": request["key"], "score": int(request["id"][1:])})
        held = []
""")
    with open_program("score", command=command) as scorer:
        assert ids(_with(scorer)) == ["q3", "q2", "q1", "q0"]


def _with(scorer):
    tools = Tools(scorer=lambda chat, check: scorer, note=print)
    return next(iter(reranked([record((0.9, 0.8, 0.7, 0.6))], ROW, {}, tools=tools, reject=pytest.fail)))
