"""The language of compositions: text in, a checked tree out. Errors point at the column with a caret.

    expr   := [sign] term (sign term)*          sign := '+' | '-'
    term   := factor ('*' factor)*              at most one factor is a vector
    factor := number | '$' name | name | name '(' expr (',' expr)* ')' | '(' expr ')'

A name alone is a named vector of the query, `$a` a number that is set from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from mmr.errors import UsageError, shown

DEEPEST = 50
TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<param>\$[A-Za-z_]\w*)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>[-+*(),])"
)

VECTOR, NUMBER, LIST, RAW = "a vector", "a number", "named vectors", "the name of a vector"


class Function(NamedTuple):
    """What a function takes: the kinds of its arguments; the last one may repeat where `many`."""

    takes: tuple[str, ...]
    shape: str
    many: bool = False


FUNCTIONS = {
    "u": Function((VECTOR,), "u(x)"),
    "mean": Function((LIST,), "mean(xs) or mean(x, y, ...)", many=True),
    "wmean": Function((LIST, RAW), "wmean(xs, weights)"),
    "slerp": Function((VECTOR, VECTOR, NUMBER), "slerp(x, y, a)"),
    "centre": Function((VECTOR, RAW), "centre(x, mean)"),
    "proj": Function((VECTOR, RAW), "proj(x, basis)"),
}


@dataclass(frozen=True)
class Number:
    """A number as it is written."""

    value: float
    at: int


@dataclass(frozen=True)
class Param:
    """A number that is set from outside: `$a`."""

    name: str
    at: int


@dataclass(frozen=True)
class Name:
    """A named vector of the query."""

    name: str
    at: int


@dataclass(frozen=True)
class Call:
    """A function of arguments."""

    function: str
    arguments: tuple[Node, ...]
    at: int


@dataclass(frozen=True)
class Sum:
    """Terms that are added (1) or taken off (-1)."""

    terms: tuple[tuple[int, Node], ...]
    at: int


@dataclass(frozen=True)
class Product:
    """Factors, of which one at most is a vector."""

    factors: tuple[Node, ...]
    at: int


Node = Number | Param | Name | Call | Sum | Product


class Token(NamedTuple):
    """A piece of the text: what it is, how it is written, and its column from 0."""

    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """Return the tree of an expression whose value is a vector.

    Raises `UsageError` that shows the text with a caret under what is wrong.

    >>> parse("0.2*v + t_m").terms[1][1]
    Name(name='t_m', at=8)
    """
    parser = _Parser(text)
    node = parser.sum(0)
    if parser.token.kind != "end":
        raise wrong(text, parser.token.at, f"{parser.token.text!r} is not expected here",
                    "Terms are joined by + and -, factors by *.")  # fmt: skip
    if kind(node) != VECTOR:
        raise wrong(text, 0, "this is a number, and a composition is a vector", "Name a vector: v, t_m, ...")
    return node


def wrong(text: str, at: int, what: str, fix: str = "") -> UsageError:
    """The error of an expression: the text, a caret under column `at` (from 0), and what is wrong there."""
    start = max(0, at - 60)
    cut = "…" if start else ""
    line = shown(cut + text[start : start + 100])
    caret = " " * len(shown(cut + text[start:at])) + "^"
    return UsageError(f"{what} (column {at + 1})\n    {line}\n    {caret}", fix)


def kind(node: Node) -> str:
    """Tell whether a checked tree is a vector or a number."""
    if isinstance(node, Name | Call):
        return VECTOR
    if isinstance(node, Sum):
        return kind(node.terms[0][1])
    if isinstance(node, Product):
        return VECTOR if any(kind(factor) == VECTOR for factor in node.factors) else NUMBER
    return NUMBER


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node."""
    if isinstance(node, Sum):
        return tuple(term for _, term in node.terms)
    if isinstance(node, Product):
        return node.factors
    return node.arguments if isinstance(node, Call) else ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def names(node: Node) -> tuple[str, ...]:
    """The named vectors that an expression needs, each once, in the order of the text."""
    return tuple(dict.fromkeys(one.name for one in walk(node) if isinstance(one, Name)))


def params(node: Node) -> tuple[str, ...]:
    """The numbers `$a` that an expression needs, each once."""
    return tuple(dict.fromkeys(one.name for one in walk(node) if isinstance(one, Param)))


class _Parser:
    """Reads one text from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._cut(text)
        self.token = next(self._tokens)

    def _cut(self, text: str) -> Iterator[Token]:
        at = 0
        while at < len(text):
            if text[at].isspace():
                at += 1
                continue
            found = TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise wrong(text, at, f"{shown(text[at])!r} means nothing here",
                            "Numbers, names, $parameters, + - * ( ) and commas do.")  # fmt: skip
            yield Token(found.lastgroup, found[0], at)
            at = found.end()
        yield Token("end", "the end", at)

    def _next(self) -> Token:
        token = self.token
        self.token = next(self._tokens, token)
        return token

    def _take(self, text: str) -> bool:
        if self.token.kind == "sign" and self.token.text == text:
            self._next()
            return True
        return False

    def sum(self, depth: int) -> Node:
        """Read terms joined by + and -."""
        at = self.token.at
        if depth > DEEPEST:
            raise wrong(self._text, at, f"more than {DEEPEST} brackets deep", "Write it flatter.")
        sign = -1 if self._take("-") else 1
        if sign == 1:
            self._take("+")
        terms = [(sign, self._product(depth))]
        while self.token.text in ("+", "-") and self.token.kind == "sign":
            sign = 1 if self._next().text == "+" else -1
            terms.append((sign, self._product(depth)))
        for _, term in terms[1:]:
            if kind(term) != kind(terms[0][1]):
                raise wrong(self._text, term.at, f"{kind(term)} cannot be added to {kind(terms[0][1])}",
                            "Multiply the number by a vector.")  # fmt: skip
        return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else Sum(tuple(terms), at)

    def _product(self, depth: int) -> Node:
        factors = [self._factor(depth)]
        while self._take("*"):
            factors.append(self._factor(depth))
            if sum(kind(factor) == VECTOR for factor in factors) > 1:
                raise wrong(self._text, factors[-1].at, "two vectors cannot be multiplied",
                            "Add them, or score both: `mmr compose product`.")  # fmt: skip
        return factors[0] if len(factors) == 1 else Product(tuple(factors), factors[0].at)

    def _factor(self, depth: int) -> Node:
        token = self._next()
        if token.kind == "number":
            return Number(float(token.text), token.at)
        if token.kind == "param":
            return Param(token.text[1:], token.at)
        if token.kind == "name":
            return self._call(token, depth) if self._take("(") else Name(token.text, token.at)
        if token.text == "(":
            inside = self.sum(depth + 1)
            self._close(token.at)
            return inside
        what = "the expression ends where" if token.kind == "end" else f"{token.text!r} stands where"
        raise wrong(self._text, token.at, f"{what} a number, a name or a bracket is expected")

    def _call(self, token: Token, depth: int) -> Node:
        function = FUNCTIONS.get(token.text)
        if function is None:
            near = get_close_matches(token.text, FUNCTIONS, n=1)
            fix = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(FUNCTIONS)}."
            raise wrong(self._text, token.at, f"no function is called {shown(token.text)!r}", fix)
        arguments = [self.sum(depth + 1)]
        while self._take(","):
            arguments.append(self.sum(depth + 1))
        self._close(token.at)
        self._check(token, function, arguments)
        return Call(token.text, tuple(arguments), token.at)

    def _close(self, opened: int) -> None:
        if not self._take(")"):
            at = self.token.at
            what = f"the bracket of column {opened + 1} is not closed before {self.token.text!r}"
            raise wrong(self._text, at, what, "Close it with ).")

    def _check(self, token: Token, function: Function, arguments: list[Node]) -> None:
        """Refuse arguments that the function does not take."""
        least, name = len(function.takes), token.text
        if len(arguments) < least or (len(arguments) > least and not function.many):
            count = f"{len(arguments)} argument{'s' if len(arguments) > 1 else ''}"
            raise wrong(self._text, token.at, f"{name} does not take {count}", f"Write {function.shape}.")
        for place, argument in enumerate(arguments):
            takes = function.takes[min(place, least - 1)]
            found = kind(argument)
            named = isinstance(argument, Name)
            by_name = takes is RAW or (takes is LIST and not function.many)
            if not (named if by_name else found == (NUMBER if takes is NUMBER else VECTOR)):
                is_ = "computed" if by_name and found == VECTOR else found
                what = f"{name} takes {takes} here, and this is {is_}"
                raise wrong(self._text, argument.at, what, f"Write {function.shape}.")
