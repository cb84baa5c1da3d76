r"""Field selectors: `spec.nodeName=node-1,status.phase!=Running`; `\`, `,` and `=` in a value are escaped by `\`.

Source: staging/src/k8s.io/apimachinery/pkg/fields/selector.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from k8sfsm.objects.requirement import SelectorError

_OPERATORS: Final = ("!=", "==", "=")
_ESCAPED: Final = "\\,="


@frozen
class FieldTerm:
    """A field that must (or must not) have a value; an absent field has the value ""."""

    field: str
    value: str
    equal: bool = True

    def matches(self, fields: Mapping[str, str]) -> bool:
        """True when the fields fulfil the term."""
        return (fields.get(self.field, "") == self.value) is self.equal

    def __str__(self) -> str:
        return f"{self.field}{'=' if self.equal else '!='}{_escape(self.value)}"


@frozen
class FieldSelector:
    """All terms must hold; no term: everything matches."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """True when the fields fulfil all terms."""
        return all(term.matches(fields) for term in self.terms)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def parse_field_selector(text: str) -> FieldSelector:
    """Read a field selector. Raises SelectorError with the API server's message. Source: ParseSelector."""
    parts = sorted(filter(None, _split(text)), key=lambda part: part.encode())
    return FieldSelector(tuple(_term(part, text) for part in parts))


def _split(text: str) -> list[str]:
    parts, start, escaped = [], 0, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _term(part: str, text: str) -> FieldTerm:
    for at in range(len(part)):
        for operator in _OPERATORS:
            if part.startswith(operator, at):
                return FieldTerm(part[:at], _unescape(part[at + len(operator) :]), operator != "!=")
    raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")


def _escape(value: str) -> str:
    return "".join("\\" + character if character in _ESCAPED else character for character in value)


def _unescape(value: str) -> str:
    plain, escaped = [], False
    for character in value:
        if escaped and character not in _ESCAPED:
            raise SelectorError(f"invalid field selector: invalid escape sequence: \\{character}")
        if not escaped and character in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(character)}")
        if escaped or character != "\\":
            plain.append(character)
        escaped = not escaped and character == "\\"
    if escaped:
        raise SelectorError("invalid field selector: invalid escape sequence: \\")
    return "".join(plain)
