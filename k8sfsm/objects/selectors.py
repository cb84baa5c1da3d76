"""Label selectors as text: `app=web,tier in (a,b),!canary`.

Source: staging/src/k8s.io/apimachinery/pkg/labels/selector.go: Lexer, Parser, Parse
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import define, field

from k8sfsm.objects.gotext import quote
from k8sfsm.objects.names import label_key_errors
from k8sfsm.objects.requirement import Requirement, Selector, SelectorError, by_key

Token: TypeAlias = Literal["end", "identifier", "error", ")", "(", ",", "!", "==", "=", ">", "<", "!=", "in", "notin"]

_TOKENS: Final[dict[str, Token]] = {
    ")": ")",
    "(": "(",
    ",": ",",
    "!": "!",
    "==": "==",
    "=": "=",
    ">": ">",
    "<": "<",
    "!=": "!=",
    "in": "in",
    "notin": "notin",
}
_SPACE: Final = " \t\r\n"
_SPECIAL: Final = "=!(),><"
_OPERATORS: Final = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}
_EXPECTED_OPERATORS: Final = "in, notin, =, ==, !=, gt, lt"


def parse_selector(text: str) -> Selector:
    """Read a label selector. Raises SelectorError with the API server's message. Source: labels/selector.go: Parse."""
    return Selector(by_key(_Parser(_tokens(text)).parse()))


def _tokens(text: str) -> list[tuple[Token, str]]:
    tokens: list[tuple[Token, str]] = []
    at = 0
    while True:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if at >= len(text):
            return [*tokens, ("end", "")]
        end = _symbol_end(text, at) if text[at] in _SPECIAL else _word_end(text, at)
        literal = text[at:end]
        tokens.append((_TOKENS.get(literal, "identifier"), literal))
        at = end


def _symbol_end(text: str, start: int) -> int:
    """The longest symbol: every prefix of it is one too."""
    end = start + 1
    while end < len(text) and text[start : end + 1] in _TOKENS:
        end += 1
    return end


def _word_end(text: str, start: int) -> int:
    end = start
    while end < len(text) and text[end] not in _SPACE and text[end] not in _SPECIAL:
        end += 1
    return end


@define
class _Parser:
    """Recursive descent over the tokens; where a value may stand, `in` and `notin` are plain words."""

    tokens: list[tuple[Token, str]]
    at: int = field(default=0)

    def _peek(self) -> tuple[Token, str]:
        token, literal = self.tokens[self.at]
        return ("identifier" if token in ("in", "notin") else token), literal

    def _next(self) -> tuple[Token, str]:
        found = self._peek()
        self.at += 1
        return found

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while True:
            token, literal = self._peek()
            if token == "end":
                return requirements
            if token not in ("identifier", "!"):
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            token, literal = self._next()
            if token == "end":
                return requirements
            if token != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            token, literal = self._peek()
            if token not in ("identifier", "!"):
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        token, key = self._next()
        absent = token == "!"
        if absent:
            token, key = self._next()
        if token != "identifier":
            raise SelectorError(f"found '{key}', expected: identifier")
        errors = label_key_errors(key)
        if errors:
            raise SelectorError(f"<nil>: Invalid value: {quote(key)}: {'; '.join(errors)}")
        if absent:
            return Requirement.of(key, "!")
        if self._peek()[0] in ("end", ","):
            return Requirement.of(key, "exists")
        operator = self._operator()
        values = self._values() if operator in ("in", "notin") else {self._exact_value()}
        return Requirement.of(key, operator, sorted(values, key=lambda value: value.encode()))

    def _operator(self) -> str:
        token, literal = self.tokens[self.at]
        self.at += 1
        if token not in _OPERATORS:
            raise SelectorError(f"found '{literal}', expected: {_EXPECTED_OPERATORS}")
        return _OPERATORS[token]

    def _exact_value(self) -> str:
        if self._peek()[0] in ("end", ","):
            return ""
        token, literal = self._next()
        if token != "identifier":
            raise SelectorError(f"found '{literal}', expected: identifier")
        return literal

    def _values(self) -> set[str]:
        token, literal = self._next()
        if token != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        token, literal = self._peek()
        if token == ")":
            self._next()
            return {""}
        if token not in ("identifier", ","):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        values = self._identifiers()
        if self._next()[0] != ")":
            raise SelectorError(f"found '{literal}', expected: ')'")
        return values

    def _identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            token, literal = self._next()
            if token == "identifier":
                values.add(literal)
                token, literal = self._peek()
                if token == ")":
                    return values
                if token != ",":
                    raise SelectorError(f"found '{literal}', expected: ',' or ')'")
            elif token == ",":
                if self._comma(values):
                    return values
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")

    def _comma(self, values: set[str]) -> bool:
        """After a comma in a list of values: an empty value may stand before or behind it. True at the end."""
        if not values:
            values.add("")
        token, _ = self._peek()
        if token in (")", ","):
            values.add("")
        if token == ",":
            self._next()
        return token == ")"
