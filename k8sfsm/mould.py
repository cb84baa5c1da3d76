"""Moulds: a value that was made for one set of parts, from which the same value is made for another set.

Thousands of pods come from one template. What one actor makes of one of them differs from what it makes of the next in
a few parts only: name, uid, addresses, ids. A mould finds where the parts are in a value, and casts it anew with others
in their places; all that has no part in it is shared. Whether two cases differ in their parts alone is for the caller
to know.

Moments (times in ns since the epoch) are parts as well; one that is none of them is cast as far from the first moment
as it was. What has no part but moments in it is shared by all casts with the same moments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any, Final, TypeAlias

import attrs
from attrs import frozen
from immutables import Map

from k8sfsm.objects.copying import changer_of

_ATOMS: Final = (bool, int, float, bytes, type(None))
_MOMENT: Final = 10**15
"""Numbers from here on are moments."""
_SHARED: Final = 64


class Shapeless(Exception):
    """A value that no mould can be made of: a part is hidden in it where it cannot be replaced."""


class Mould:
    """`cast(parts)` makes the value again with other parts in the same order.

    Strings and moments are found where they are equal, everything else where it is the very same object; an empty
    string and None are no parts. Raises Shapeless where a string contains a part, where a moment is left over and there
    is none among the parts, or where a value is of a type that is not known.
    """

    __slots__ = ("cast",)

    def __init__(self, value: Any, parts: Sequence[Any]) -> None:
        writer = _Writer(parts)
        made = writer.name(value)
        names = ", ".join(f"p{place}" for place in range(len(parts)))
        lines = ["def cast(parts):", f"    {names}, = parts", *writer.lines, f"    return {made}"]
        exec(_compiled("\n".join(lines), "exec"), writer.scope)
        self.cast: Callable[[Sequence[Any]], Any] = writer.scope["cast"]


@lru_cache(maxsize=1024)
def _compiled(source: str, mode: str) -> CodeType:
    """Code that many moulds share: they differ in the values that their names stand for."""
    return compile(source, "<mould>", mode)


@frozen
class _Found:
    """An expression that makes a value; `moments`: the places of its parts, where they are nothing but moments."""

    text: str
    moments: tuple[int, ...] = ()
    bare: bool = False


class _Writer:
    """Writes the function that casts: one line for every value with a part in it."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}
        self._texts: dict[str, int] = {}
        self._moments: dict[int, int] = {}
        self._objects: dict[int, int] = {}
        for place, part in enumerate(parts):
            if isinstance(part, str):
                self._texts.setdefault(part, place)
            elif isinstance(part, int):
                self._moments.setdefault(part, place)
            elif part is not None:
                self._objects.setdefault(id(part), place)
        self._texts.pop("", None)
        self._known: dict[int, _Found | None] = {}
        self._kept: list[Any] = []

    def name(self, value: Any) -> str:
        """A name, or a short expression, for the value in the function that casts."""
        found = self._find(value)
        if found is None:
            return self.constant(value)
        if not found.moments or found.bare:
            return found.text
        names = ", ".join(f"p{place}" for place in found.moments)
        shared = f"shared{len(self.scope)}"
        self.scope[shared] = lru_cache(_SHARED)(eval(_compiled(f"lambda {names}: {found.text}", "eval"), self.scope))
        made = self._line(f"{shared}({names})")
        self._known[id(value)] = made
        return made.text

    def constant(self, value: Any) -> str:
        """A name for a value that every cast shares."""
        name = f"c{len(self.scope)}"
        self.scope[name] = value
        return name

    def _find(self, value: Any) -> _Found | None:
        """How the value is made; None where it has no part in it."""
        if isinstance(value, str):
            return self._text(value)
        place = self._objects.get(id(value))
        if place is not None:
            return _Found(f"p{place}")
        if isinstance(value, _ATOMS):
            return self._moment(value) if isinstance(value, int) and value >= _MOMENT else None
        if id(value) not in self._known:
            self._kept.append(value)
            self._known[id(value)] = self._compound(value)
        return self._known[id(value)]

    def _text(self, value: str) -> _Found | None:
        place = self._texts.get(value)
        if place is not None:
            return _Found(f"p{place}")
        if any(part in value for part in self._texts):
            raise Shapeless(f"a part is a piece of {value!r}")
        return None

    def _moment(self, value: int) -> _Found:
        place = self._moments.get(value)
        if place is not None:
            return _Found(f"p{place}", (place,), bare=True)
        if not self._moments:
            raise Shapeless(f"{value} is no part")
        first, place = next(iter(self._moments.items()))
        return _Found(f"(p{place} + {value - first})", (place,), bare=True)

    def _compound(self, value: Any) -> _Found | None:
        if attrs.has(type(value)):
            fields = attrs.fields(type(value))
            return self._joined({each.name: getattr(value, each.name) for each in fields}, value, _evolved)
        if isinstance(value, tuple | list):
            return self._joined(dict(enumerate(value)), value, _listed)
        if isinstance(value, dict | Map):
            if any(self._find(key) is not None for key in value):
                raise Shapeless("a part is a key")
            return self._joined(dict(value), value, _merged if isinstance(value, dict) else _updated)
        raise Shapeless(f"no mould for {type(value).__name__}")

    def _joined(self, members: dict[Any, Any], value: Any, write: Callable[..., str]) -> _Found | None:
        """A value with members: a line of its own, unless moments are all that is to be put into it."""
        found = {name: self._find(member) for name, member in members.items()}
        places = {place for each in found.values() if each is not None for place in each.moments}
        if not any(found.values()):
            return None
        if all(each is None or each.moments for each in found.values()):
            texts = {name: None if each is None else each.text for name, each in found.items()}
            return _Found(write(self, value, members, texts), tuple(sorted(places)))
        texts = {name: None if each is None else self.name(members[name]) for name, each in found.items()}
        return self._line(write(self, value, members, texts))

    def _line(self, expression: str) -> _Found:
        name = f"v{len(self.lines)}"
        self.lines.append(f"    {name} = {expression}")
        return _Found(name)


_Texts: TypeAlias = Mapping[Any, str | None]
"""The expressions of the members that have a part in them."""


def _evolved(writer: _Writer, value: Any, members: Mapping[Any, Any], texts: _Texts) -> str:
    changed = {name: text for name, text in texts.items() if text is not None}
    changer = writer.constant(changer_of(type(value), *changed))
    return f"{changer}({writer.constant(value)}, {', '.join(changed.values())})"


def _listed(writer: _Writer, value: Any, members: Mapping[Any, Any], texts: _Texts) -> str:
    inner = "".join(f"{text or writer.constant(members[place])}, " for place, text in texts.items())
    return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"


def _changes(writer: _Writer, texts: _Texts) -> str:
    return ", ".join(f"{writer.constant(key)}: {text}" for key, text in texts.items() if text is not None)


def _merged(writer: _Writer, value: Any, members: Mapping[Any, Any], texts: _Texts) -> str:
    return f"{{**{writer.constant(value)}, {_changes(writer, texts)}}}"


def _updated(writer: _Writer, value: Any, members: Mapping[Any, Any], texts: _Texts) -> str:
    return f"{writer.constant(value)}.update({{{_changes(writer, texts)}}})"
