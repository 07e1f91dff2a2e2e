"""The methods of `rerank`, one row each. Nothing heavy is imported here.

Other packages add rows by entry points of the group `mmr.rerank`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mmr import plugins
from mmr.errors import UnavailableError, UsageError, shown
from mmr.rerank.row import ALL, MANY, Param, Row

if TYPE_CHECKING:
    from mmr.rerank.method import Method

__all__ = ["ALL", "FUSIONS", "MANY", "METHODS", "SCALES", "Param", "Row", "checked", "find", "loaded",
           "method", "names", "plug_ins", "plugged"]  # fmt: skip

GROUP = "mmr.rerank"
HERE = "mmr.rerank"
OF_PAGES = "mmr query pages.mmr --from queries.jsonl -k 100 | mmr rerank "
BOTH = ("query", "vectors")

GUARD = (
    Param("guard", "overlap", "What is done about feedback that leads away: overlap takes five, three, one "
          "and no hits until enough first hits stay, fuse adds up the places of the orders that more and "
          "less feedback give", "choice", choices=("overlap", "fuse", "none")),
    Param("overlap", 0.5, "Share of the first ten hits that must stay", "number", 0, 1),
)  # fmt: skip
RESEARCH = Param("research", False, "Search the whole index again with the new query", "flag")
NO_GUARD = GUARD[0]._replace(default="none")

FUSIONS = ("rrf", "combsum", "combmnz", "combanz", "combmax", "combmed", "isr", "log-isr", "log1p-isr",
           "borda", "rbc", "convex")  # fmt: skip
SCALES = ("minmax", "max", "sum", "z", "cosine", "rank", "isr", "borda")

METHODS: tuple[Row, ...] = (
    Row("superglobal", "every hit becomes the mean of its nearest hits, and the query their maximum",
        f"{HERE}.superglobal:SuperGlobal",
        (Param("neighbours", 9, "Nearest hits that are pooled into each hit", "whole", 0, 10_000),
         Param("beta", 0.15, "Weight of a neighbour's cosine", "number", 0, 100)),
        "Picture to picture, the same object in many pictures; made for features that are not below 0. With "
        "words against pictures it loses: R@1 .805 became .645",
        "Shao et al. 2023, Global Features are All You Need",
        needs=BOTH, depth=400, across="hurts", example="superglobal --index pics.mmr"),
    Row("aqe", "the query and its first hits are added up, and all hits compared with the sum",
        f"{HERE}.expansion:Aqe",
        (Param("n", 10, "First hits that are added", "whole", 0, 10_000), NO_GUARD, GUARD[1], RESEARCH),
        "Picture to picture. With words against pictures ten hits swamp the query: R@1 .805 became .415",
        "Chum et al. 2007", needs=BOTH, across="hurts", example="aqe --n 5 --index pics.mmr"),
    Row("alpha-qe", "as aqe, and each hit counts by its cosine to the power alpha",
        f"{HERE}.expansion:Aqe",
        (Param("n", 10, "First hits that are added", "whole", 0, 10_000),
         Param("alpha", 3, "Power of the cosine; 0 is aqe", "number", 0, 100), NO_GUARD, GUARD[1], RESEARCH),
        "Picture to picture. With words against pictures alpha 3 changes little, alpha 0 is aqe",
        "Radenovic et al. 2018", needs=BOTH, example="alpha-qe --index pics.mmr"),
    Row("dba", "every hit is mixed with its nearest hits before it is compared", f"{HERE}.expansion:Dba",
        (Param("neighbours", 10, "Nearest hits that are mixed in", "whole", 0, 10_000),
         Param("alpha", None, "Weigh them by cosine to this power, not by their places", "number", 0, 100)),
        "Picture to picture, the same object in many pictures", "Gordo et al. 2017", needs=BOTH, depth=400,
        across="hurts", example="dba --index pics.mmr"),
    Row("rocchio", "the query moves to relevant hits and away from others", f"{HERE}.expansion:Rocchio",
        (Param("n", 3, "First hits that count as relevant, where the record has no lists `relevant` and "
               "`irrelevant` of ids", "whole", 0, 10_000),
         Param("last", 0, "Last hits that then count as irrelevant", "whole", 0, 10_000),
         Param("a", 1, "Weight of the query", "number", 0, 100),
         Param("b", 0.75, "Weight of the relevant hits' mean", "number", 0, 100),
         Param("g", 0.15, "Weight of the irrelevant hits' mean", "number", 0, 100), *GUARD, RESEARCH),
        "With hits that somebody judged. Without, as prf", "Rocchio 1971", needs=BOTH, across="hurts",
        example="rocchio --n 2 --last 1 --index pics.mmr"),
    Row("prf", "the query is mixed with the mean of its first hits", f"{HERE}.expansion:Prf",
        (Param("n", 3, "First hits that are mixed in", "whole", 0, 10_000),
         Param("a", 0.6, "Weight of the query", "number", 0, 100),
         Param("b", 0.4, "Weight of the hits' mean", "number", 0, 100),
         Param("average", False, "The query counts as much as each hit, in place of --a and --b", "flag"),
         *GUARD, RESEARCH),
        "Picture to picture, few hits. More feedback often makes it worse", "Li et al. 2021", needs=BOTH,
        across="hurts", example="prf --research --index pics.mmr"),
    Row("k-reciprocal", "hits that share their nearest neighbours with the query come first",
        f"{HERE}.kreciprocal:KReciprocal",
        (Param("k1", 20, "Neighbours that must be mutual; far fewer than hits", "whole", 1, 10_000),
         Param("k2", 6, "Neighbours whose sets are averaged; 1 is none", "whole", 1, 10_000),
         Param("lambda", 0.3, "Share of the first distance; 1 is the first order", "number", 0, 1)),
        "Picture to picture: persons, products, hundreds of hits. Not with words against pictures",
        "Zhong et al. 2017", needs=BOTH, depth=200, across="hurts",
        example="k-reciprocal --index pics.mmr"),
    Row("diffusion", "the query's weight spreads over the graph of the hits", f"{HERE}.diffusion:Diffusion",
        (Param("alpha", 0.9, "How far it spreads; at .99 hubs come up", "number", 0, 0.999),
         Param("gamma", 3, "Power of the cosines that are edges", "number", 0, 100),
         Param("neighbours", 50, "Edges of a hit, to mutual neighbours", "whole", 1, 10_000),
         Param("seeds", 10, "Hits at which it starts", "whole", 1, 10_000),
         Param("blend", 1, "Its share; the rest is the first score, both from 0 to 1", "number", 0, 1)),
        "Picture to picture, where one object has many pictures that form a chain", "Iscen et al. 2017",
        needs=BOTH, depth=400, across="hurts", example="diffusion --blend .5 --index pics.mmr"),
    Row("diversify", "each next hit is relevant and unlike those before it", f"{HERE}.diversify:Diversify",
        (Param("lambda", 0.7, "Share of relevance; 1 is the first order", "number", 0, 1),),
        "For people who look at the first ten. It costs recall by design; cut with -k afterwards",
        "Carbonell and Goldstein 1998, maximal marginal relevance", needs=("vectors",), depth=400,
        example="diversify --index pics.mmr --lambda .7 -k 20"),
    Row("profile", "hits near what the user chose before come up", f"{HERE}.profile:Profile",
        (Param("history", None, "What the user chose: records with vectors, or with ids of the index. A "
               "record's own list of ids `history` wins", "text", metavar="FILE"),
         Param("weight", 0.2, "Share of the taste, in full from twenty choices on", "number", 0, 1),
         Param("share", False, "Weigh every taste by how often it was chosen, in place of the nearest one",
               "flag")),
        "The history must be older than the query, and without what is looked for",
        "after PerSRV, Chee et al. 2024", needs=BOTH, depth=400,
        example="profile --history mine.jsonl --index pics.mmr"),
    Row("recipe", "hits scored by the query's recipe over its named vectors", f"{HERE}.recipe:Recipe",
        (Param("recipe", None, "A recipe as JSON, in the place of the record's own", "text",
               metavar="JSON"),),
        "Hits of any search, for what mmr-compose(1) writes: and, or, not, product and others. What is not "
        "among the hits cannot come up, and figures over all that is scored are those of the hits",
        "as mmr query does it", needs=("vectors",), across="helps",
        example="mmr compose product --image pics/apple.png --text green | mmr query pics.mmr -k 100 | "
        "mmr rerank recipe --index pics.mmr"),
    Row("maxsim", "each of the query's vectors finds its best one of a hit, and the products add up",
        f"{HERE}.many:MaxSim",
        (Param("mean", False, "The mean over the query's vectors, for fusion with other scores", "flag"),),
        "Words and patches of late interaction models, in `vectors` of the query, and of each hit or in an "
        "index of them", "Khattab and Zaharia 2020, ColBERT", needs=("bags",), across="helps",
        example=OF_PAGES + "maxsim --index pages.mmr"),
    Row("xtr", "each of the query's vectors counts for the hits that have one of its nearest",
        f"{HERE}.many:Xtr",
        (Param("near", 100, "Nearest vectors of all hits together, of each of the query's; a hit that has "
               "none of them counts as the last one", "whole", 1),),
        "As maxsim, with models that were trained so; where --near takes all vectors of the hits, it is the "
        "mean of maxsim", "Lee et al. 2023, XTR", needs=("bags",), across="helps",
        example=OF_PAGES + "xtr --near 40 --index pages.mmr"),
    Row("transport", "what it costs to carry the query's vectors to those of a hit", f"{HERE}.many:Transport",
        (Param("method", "optimal", "All of both sides is carried at the least cost, or each vector where it "
               "likely belongs, there and back", "choice", choices=("optimal", "conditional")),
         Param("beta", 0.5, "optimal: how soft each step is", "number", 0.1, 100),
         Param("temperature", 0.07, "conditional: of the softmax", "number", 0.01, 100),
         Param("plan", False, "Each hit says in `plan` what is carried where", "flag")),
        "Hits with about as many vectors each: what a hit has beyond the query costs too",
        "Chen et al. 2020, UNITER; PatchCT", needs=("bags",), across="helps",
        example=OF_PAGES + "transport --plan --index pages.mmr"),
    Row("frames", "the query's one vector against the frames of each hit", f"{HERE}.many:Frames",
        (Param("pool", "mean", "The mean of the frames, the best one, the mean of the --top best, or frames "
               "weighted by the query", "choice", choices=("mean", "max", "top", "softmax")),
         Param("top", 3, "top: frames that count", "whole", 1),
         Param("temperature", 0.07, "softmax: of the weights", "number", 0.001, 100)),
        "Videos, in `vectors` of each hit or in an index of them. max finds a moment", "",
        needs=("query", "bags"), across="helps", example="mmr rerank frames --pool max many.jsonl"),
    Row("fields", "several vectors of an item, each in its index, are weighted and added up",
        f"{HERE}.fields:Fields",
        (Param("field", (), "A field and the index of its vectors, by the same ids; a query's vector for it "
               "is `bindings.NAME`, else its `vector`", "texts", metavar="NAME=INDEX"),
         Param("weights", None, "Weights of the fields and of the first score, `score`; all alike unless "
               "told", "text", metavar="NAME=X,..."),
         Param("raw", False, "Add up cosines as they are, not each field from 0 to 1", "flag")),
        "Items with a picture and words. Fields of another model need their own vectors of the queries",
        "", needs=("query",), across="helps",
        example="fields --field text=captions.mmr --weights score=.7,text=.3"),
    Row("fuse", "one ranking out of several", "mmr.cli.rerank_fuse:command",
        (Param("method", "rrf", "How places or scores are added up", "choice", choices=FUSIONS),
         Param("norm", None, "Scale of each query's scores in each run, as mmr-normalize(1) has them, or "
               "none; minmax unless told", "choice", choices=("none", *SCALES)),
         Param("missing", "zero", "What an item counts in a run that has it not: nothing, or as that run's "
               "lowest (min)", "choice", choices=("zero", "min")),
         Param("constant", 60, "Added to each place by rrf", "number", 0, 100_000),
         Param("phi", 0.8, "Patience of rbc", "number", 0, 1),
         Param("weights", None, "Weights of the files by convex, with commas; they add up to 1", "text",
               metavar="X,..."),
         Param("depth", None, "Take this many first hits of each run", "whole", 1)),
        "Several systems. rrf where their scores are on different scales; convex with minmax where fifty or "
        "more judged queries can say the weights", "Cormack et al. 2009 (rrf)", across="helps",
        example="fuse dense.jsonl lexical.trec", own=True),
    Row("cut", "a shorter answer, possibly none, and the reason", f"{HERE}.cut:Cut",
        (Param("method", "gmm", "How the end is found", "choice",
               choices=("gmm", "gap", "threshold", "probability")),
         Param("min", 1, "Hits that are kept whatever the method says; 0 allows an empty answer", "whole"),
         Param("max", 10, "Hits that are kept at most, and where the method finds no end", "whole", 1),
         Param("min_score", None, "Drop hits below S, with every method", "number", -MANY, metavar="S"),
         Param("first", None, "gmm and gap: how many first scores they look at, 20 unless told", "whole", 2),
         Param("z", None, "gap: standard deviations that a gap must have, 1.5 unless told"),
         Param("ratio", None, "threshold: drop hits below this share of the highest score", "number", 0, 1),
         Param("mass", None, "probability: share of softmax(score / temperature), .9 unless told", "number",
               0, 1),
         Param("temperature", None, "probability: .01 unless told, which is for cosines", "number", 1e-6),
         Param("slope", None, "probability: of a calibrated score, 1 / (1 + exp(-(slope s + offset)))",
               "number", 1e-9),
         Param("offset", None, "probability: of a calibrated score", "number", -MANY),
         Param("min_prob", None, "probability: drop hits whose calibrated chance is lower, .5 unless told",
               "number", 0, 1)),
        "Everywhere. On cosines of words and pictures probability and a ratio did better than a fixed "
        "length, gmm and gap, which need no scale, no better: mmr-results(7). gmm wants ten hits and more",
        "Wang et al. 2025, ViDoRAG (gmm)", example="cut --method gmm --min 0 --max 10"),
    Row("group", "pages, frames or captions become one hit of their parent", f"{HERE}.fold:Group",
        (Param("by", "parent", "The field that says what a hit is a part of", "text", metavar="FIELD"),
         Param("pool", "max", "The score of a parent from those of its children", "choice",
               choices=("max", "mean", "sum", "top-mean", "softmax", "log-mean-exp")),
         Param("over", "retrieved", "Of which children a mean is: of those that are hits, or of all, where "
               "the others count as the lowest hit", "choice", choices=("retrieved", "all")),
         Param("top", None, "top-mean: how many of the best, 3 unless told", "whole", 1),
         Param("temperature", None, "softmax and log-mean-exp: .1 unless told", "number", 1e-6),
         Param("children", None, "Children that a hit keeps for unfold, all unless told", "whole", 1)),
        "Ask for five to ten times more hits than parents; fold after fusion, before diversity. sum favours "
        "long parents, a mean over retrieved children those with one good child", "",
        needs=("fields",), example="group --index pages.mmr -k 10"),
    Row("unfold", "the children of grouped hits become hits again", f"{HERE}.fold:Unfold",
        (Param("order", "score", "By their own scores, or the children of the first parent first", "choice",
               choices=("score", "parent")),),
        "After group", "", example="group --index pages.mmr -k 3 | mmr rerank unfold"),
    Row("assign", "each query gets one item, so that the scores add up to the most",
        "mmr.cli.rerank_joins:assign",
        (Param("one_to_one", False, "Each item goes to one query", "flag"),
         Param("capacity", None, "Each item goes to as many queries", "whole", 1),
         Param("capacity_field", None, "A field of the hits says to how many queries an item goes; 1 without "
               "it", "text", metavar="NAME"),
         Param("no_match", None, "A query stays without an item rather than take one at or under this "
               "score. Without it, it takes any hit that is left", "number", -MANY, metavar="S")),
        "To match two catalogues. Not where several queries may have the same answer",
        "Kuhn 1955; Jonker and Volgenant 1987", example="assign --one-to-one --no-match .25", own=True),
    Row("duplicates", "groups of items that are near each other, and the one to keep",
        "mmr.cli.rerank_joins:duplicates",
        (Param("keep", "largest", "Which item of a group is kept: the largest file, then the oldest, then "
               "the shorter id; the oldest or newest file, then the largest; the shortest id; or the first "
               "of the stream", "choice", choices=("largest", "oldest", "newest", "shortest", "first")),
         Param("min_score", None, "Drop hits below S", "number", -MANY, metavar="S")),
        "Near copies of one picture. With the built-in encoder and 60 photographs copies saved again as JPEG "
        "are at .97 and above, crops by a twentieth at .88 to .99, half as large ones at .78 to .99; other "
        "pictures reach .95. A long chain joins what is not alike: raise the score", "",
        example="duplicates", own=True),
    Row("model", "a program, or a model behind a server, scores each hit against the query",
        f"{HERE}.model:Model",
        (Param("method", "score", "What it answers: a score; the probabilities of yes and no, scored by "
               "yes / (yes + no); or the mean log-probability of the query's words given the candidate",
               "choice", choices=("score", "yes-no", "likelihood")),
         Param("prompt", None, "yes-no: what is asked, yes-no, true-false or a file like those; the first "
               "unless told", "text", metavar="NAME|FILE"),
         Param("budget", 100, "Calls for a query, spent from the top; the hits below keep their order",
               "whole", 1),
         Param("min_score", None, "Keep only hits that the model scores at least S, with -k at most so many; "
               "perhaps none", "number", -MANY, metavar="S"),
         Param("final", "replace", "The new score: the model's, or a mix with the first one, both from 0 to "
               "1", "choice", choices=("replace", "convex")),
         Param("weight", None, "convex: share of the model, .5 unless told", "number", 0, 1),
         Param("prior", None, "likelihood: how much of the likelihood of the words without a candidate is "
               "taken off, 1 unless told. It makes scores of different queries comparable, and costs one "
               "call of the budget; 0 asks for none", "number", 0, 10)),
        "Words against pictures, and queries of words and pictures, on the first 20 to 100 hits. A run that "
        "was stopped goes on where it was: what was answered is in the cache",
        "Vendrow et al. 2024, INQUIRE (yes-no); Lin et al. 2024, MM-Embed (true-false)",
        needs=("scorer", "fields"), example="model --cmd ./yesno.py --method yes-no"),
    Row("cur", "an expensive model scores a few hits, and the scores of the others are guessed",
        f"{HERE}.cur:Cur",
        (Param("anchors", None, "The model's scores of the items for other queries: a run in which every "
               "query has them. Without it, guesses come from the vectors of --index, by ridge regression",
               "text", metavar="FILE"),
         Param("budget", 40, "Calls for a query", "whole", 1, 100_000),
         Param("rounds", 8, "The budget is spent on the first hits, and then in so many rounds on the best "
               "guesses; 1 is ANNCUR, more are ADACUR", "whole", 1, 100),
         Param("method", "score", "What the model answers, as in model", "choice",
               choices=("score", "yes-no", "likelihood")),
         Param("prompt", None, "yes-no: what is asked, as in model", "text", metavar="NAME|FILE")),
        "Hundreds of hits and a model that is too slow for all of them. Hits that were scored come before "
        "those that were guessed", "Yadav et al. 2022 and 2023, ANNCUR and ADACUR",
        needs=("scorer", "fields"), example="cur --cmd ./slow.py --budget 40 --index pics.mmr"),
    Row("extract", "the sentences of the hits that are most like the query, perhaps none",
        f"{HERE}.extract:Extract",
        (Param("words", 200, "Words that they may have together", "whole", 1),
         Param("sentences", 10, "Sentences at most", "whole", 1),
         Param("min_score", None, "Drop sentences below S (cosine, -1 to 1)", "number", -1, 1, metavar="S")),
        "For a model that writes an answer from hits with long words. Each sentence names its hit as parent, "
        "so that group folds them again", "", needs=("fields", "words"),
        example="extract --index pics.mmr --words 100 --min-score .3"),
)  # fmt: skip


def names() -> list[tuple[str, str]]:
    """Names and summaries of the table, in its order."""
    return [(row.name, row.summary) for row in METHODS]


@cache
def plugged() -> tuple[tuple[Row | str, str], ...]:
    """What entry points add: (row, "") or (name, why it cannot be used)."""
    known = {row.name for row in METHODS}
    return plugins.plugged(GROUP, Row, lambda row: row.name, known.__contains__)


def plug_ins() -> Iterator[tuple[str, str]]:
    """Yield every method that a plug-in adds: its name, and "" or why it cannot be used."""
    for row, problem in plugged():
        yield (row.name if isinstance(row, Row) else row, problem)


def find(name: str) -> Row | None:
    """The row of that name, of the table or of a plug-in."""
    row = next((row for row in METHODS if row.name == name), None)
    return row or next((row for row, _ in plugged() if isinstance(row, Row) and row.name == name), None)


def loaded(row: Row) -> Any:
    """Import what a row names. Raises `UnavailableError` with the reason when that fails."""
    module, _, attribute = row.loads.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        what = f"the method {row.name} cannot be loaded: {shown(str(error))}"
        raise UnavailableError(what, "Install its package again, or use another method.") from error


def method(row: Row) -> type[Method]:
    """Import the class of a row."""
    found: type[Method] = loaded(row)
    return found


def checked(row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a method, defaults filled in.

    Raises `UsageError` for one that it does not have, and for a value out of its range.
    """
    known = {param.name: param for param in row.params}
    for name, value in values.items():
        if name not in known:
            has = ", ".join(known) or "no parameters"
            raise UsageError(f"{shown(name)} is no parameter of {row.name}", f"It has: {has}.")
        param = known[name]
        if not param.fits(value):
            raise UsageError(f"{param.option} {shown(str(value))}: it must be {param.span}.")
    return {name: values.get(name, param.default) for name, param in known.items()}
