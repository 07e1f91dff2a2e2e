"""Figures as text: every format, and what each keeps."""

import json

from mmr.evaluate.output import lines, short

ONE = [
    {"run": "a.run", "measure": "nDCG@10", "value": 0.41239999, "low": 0.4, "high": 0.43, "queries": 3},
    {"run": "a.run", "measure": "MedR", "value": 12.0, "queries": 3},
]
TWO = [*ONE, {"run": "b_1.run", "measure": "nDCG@10", "value": None, "queries": 3}]


def text(figures, format_):
    return "".join(lines(figures, format_))


def test_jsonl_keeps_every_digit_and_null():
    assert [json.loads(line) for line in text(TWO, "jsonl").splitlines()] == TWO


def test_jsonl_is_written_record_by_record():
    def endless():
        while True:
            yield ONE[0]

    assert json.loads(next(lines(endless(), "jsonl"))) == ONE[0]


def test_tsv_has_a_column_a_field_and_no_rounding():
    assert text(TWO, "tsv").splitlines() == [
        "run\tmeasure\tvalue\tlow\thigh\tqueries",
        "a.run\tnDCG@10\t0.41239999\t0.4\t0.43\t3",
        "a.run\tMedR\t12.0\t\t\t3",
        "b_1.run\tnDCG@10\t\t\t\t3",
    ]


def test_tsv_keeps_its_columns_when_a_name_holds_a_tab():
    assert text([{"run": "a\tb\nc", "value": 1}], "tsv") == "run\tvalue\na b c\t1\n"


def test_the_table_of_one_run_has_a_row_a_measure():
    assert text(ONE, "table").splitlines() == [
        "measure  value",
        "nDCG@10  0.4124 [0.4000, 0.4300]",
        "MedR     12.00",
    ]


def test_the_table_of_several_runs_has_a_row_a_run():
    assert text(TWO, "table").splitlines() == [
        "run      nDCG@10                  MedR",
        "a.run    0.4124 [0.4000, 0.4300]  12.00",
        "b_1.run  -",
    ]


def test_groups_of_several_runs_are_rows_too():
    figures = [
        {"run": run, "group": group, "measure": "RR", "value": 0.5} for run in "ab" for group in ("de", "en")
    ]
    assert text(figures, "table").splitlines()[0].split() == ["run", "group", "RR"]
    assert len(text(figures, "table").splitlines()) == 5


def test_markdown_and_latex_escape_their_signs():
    assert "| a\\|b | 0.5000 |" in text([{"measure": "a|b", "value": 0.5}], "markdown")
    latex = text(TWO, "latex")
    assert r"b\_1.run & - &  \\" in latex
    assert latex.startswith("\\begin{tabular}{lrr}\n\\toprule\n")
    assert latex.endswith("\\bottomrule\n\\end{tabular}\n")


def test_comparisons_are_a_row_each_without_what_is_for_machines():
    figures = [{"run": "b", "measure": "RR", "value": 0.5, "p": 0.00001, "how": "t: n = 3", "missing": 0}]
    assert text(figures, "table").splitlines() == [
        "run  measure  value   p",
        "b    RR       0.5000  1.0e-05",
    ]


def test_values_of_queries_are_a_row_each():
    figures = [
        {"query": "q1", "measure": "RR", "value": 0.5},
        {"query": "q2", "measure": "RR", "value": None},
    ]
    assert text(figures, "table").splitlines()[1:] == ["q1     RR       0.5000", "q2     RR"]


def test_nothing_is_an_empty_text():
    assert text([], "jsonl") == ""


def test_numbers_for_people():
    shown = [short(value) for value in (0.5, 1e-9, 0.0, 10.0, float("nan"), 3, "x")]
    assert shown == ["0.5000", "1.0e-09", "0.0000", "10.00", "-", "3", "x"]
