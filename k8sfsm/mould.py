"""Moulds: a value that was made for one set of parts, from which the same value is made for another set.

Thousands of pods come from one template. What one actor makes of one of them differs from what it makes of the next in
a few parts only: name, uid, addresses, ids. A mould finds where the parts are in a value, and casts it anew with others
in their places; all that has no part in it is shared. Whether two cases differ in their parts alone is for the caller
to know.

Moments (times in ns since the epoch) are given apart; one that is none of them is cast as far from the first as it was.
A mould is bound to moments first, and to parts that all casts of them have in common (`bindings`): what has no part but
these in it is shared by all casts that are made then.

Parts that come together where they are kept stay together: a group is unpacked where one of its parts is needed.

The functions are written out, with one assignment for each attribute of a value that is cast: nothing is quicker. What
all casts share is put into their code as constants: names would have to be looked up, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any, Final, TypeAlias

import attrs
from attrs import frozen
from immutables import Map

from k8sfsm.objects.copying import changer_of, twin_to_fill

_ATOMS: Final = (bool, int, float, bytes, type(None))
_MOMENT: Final = 10**15
"""Numbers from here on are moments."""


class Shapeless(Exception):
    """A value that no mould can be made of: a part is hidden in it where it cannot be replaced."""


class Mould:
    """`bound(moments, *bindings)(parts)` makes the value again with other moments and parts, each in the same order.
    `groups`: the places of parts that are tuples of parts themselves.

    Strings and moments are found where they are equal, everything else where it is the very same object; an empty
    string, None and numbers are no parts. What has no part but moments in it is made once for all casts of the same
    moments.
    Raises Shapeless where a string contains a part, where a moment is left over and none is given, or where a value is
    of a type that is not known.
    """

    __slots__ = ("bound",)

    def __init__(
        self,
        value: Any,
        parts: Sequence[Any],
        moments: Sequence[int] = (),
        bindings: Sequence[Any] = (),
        groups: Sequence[int] = (),
    ) -> None:
        writer = _Writer(parts, moments, bindings, groups)
        made = writer.name(value)
        given = ", ".join(["moments", *(f"b{place}" for place in range(len(bindings)))])
        lines = [f"def bound({given}):", *_unpacked("m", moments, "moments"), *writer.bound]
        unpacked = [*_unpacked("p", parts, "parts"), *writer.unpacked_groups(parts)]
        cast = ["def cast(parts):", *unpacked, *writer.lines, f"    return {made}"]
        lines += [*(f"    {line}" for line in cast), "    return cast"]
        exec(_with_constants(_compiled("\n".join(lines)), writer.constants), writer.scope)
        self.bound: Callable[..., Callable[[Sequence[Any]], Any]] = writer.scope["bound"]


def _unpacked(letter: str, each: Sequence[Any], source: str) -> list[str]:
    names = ", ".join(f"{letter}{place}" for place in range(len(each)))
    return [f"    {names}, = {source}"] if names else []


@lru_cache(maxsize=1024)
def _compiled(source: str) -> CodeType:
    """Code that many moulds share: they differ in their constants, and in what their names stand for."""
    return compile(source, "<mould>", "exec")


_MARK: Final = "\0"
"""What stands for a constant in the source begins with it: a text that nothing else in it begins with."""


def _with_constants(code: CodeType, constants: Sequence[Any]) -> CodeType:
    """The code with values for what stands for them."""
    return code.replace(co_consts=tuple([_constant(each, constants) for each in code.co_consts]))


def _constant(each: Any, constants: Sequence[Any]) -> Any:
    if isinstance(each, str) and each.startswith(_MARK):
        return constants[int(each[len(_MARK) :])]
    if isinstance(each, tuple):  # the compiler makes one of keys that follow each other
        return tuple([_constant(inner, constants) for inner in each])
    return _with_constants(each, constants) if isinstance(each, CodeType) else each


@frozen
class _Found:
    """An expression that makes a value; `timed`: of nothing but moments and bindings; `bare`: it is one."""

    text: str
    timed: bool = False
    bare: bool = False


class _Writer:
    """Writes the functions: one line for every value with a part in it (`lines`), or with what is bound (`bound`)."""

    def __init__(
        self, parts: Sequence[Any], moments: Sequence[int], bindings: Sequence[Any], groups: Sequence[int]
    ) -> None:
        self.bound: list[str] = []
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}
        self.constants: list[Any] = []
        self._texts: dict[str, _Found] = {}
        self._moments: dict[int, int] = {}
        self._objects: dict[int, _Found] = {}
        self._groups = groups
        self._used: set[str] = set()
        for place, part in enumerate(parts):
            inner = part if place in groups else ()
            if inner or place not in groups:
                self._note_part(_Found(f"p{place}"), part)
            for number, each in enumerate(inner):
                self._note_part(_Found(f"p{place}_{number}"), each)
        for place, each in enumerate(bindings):
            self._note_part(_Found(f"b{place}", timed=True, bare=True), each)
        for place, moment in enumerate(moments):
            self._moments.setdefault(moment, place)
        self._texts.pop("", None)
        self._plain: set[str] = set()
        self._known: dict[int, _Found | None] = {}
        self._kept: list[Any] = []
        self._values = 0
        self._shared: dict[int, str] = {}
        self._functions: dict[Callable[..., Any], str] = {}

    def _note_part(self, found: _Found, part: Any) -> None:
        if isinstance(part, str):
            self._texts.setdefault(part, found)
        elif not isinstance(part, _ATOMS):
            self._objects.setdefault(id(part), found)

    def unpacked_groups(self, parts: Sequence[Any]) -> list[str]:
        """What unpacks the groups of which a part was found."""
        return [
            line
            for place in self._groups
            if any(f"p{place}_{number}" in self._used for number in range(len(parts[place])))
            for line in _unpacked(f"p{place}_", parts[place], f"p{place}")
        ]

    def _part(self, found: _Found) -> _Found:
        self._used.add(found.text)
        return found

    def name(self, value: Any) -> str:
        """A name, or a short expression, for the value in the function that casts."""
        found = self._find(value)
        if found is None:
            return self.constant(value)
        if not found.timed or found.bare:
            return found.text
        shared = f"s{len(self.bound)}"
        self.bound.append(f"    {shared} = {found.text}")
        self._known[id(value)] = _Found(shared)
        return shared

    def constant(self, value: Any) -> str:
        """What stands for a value that every cast shares."""
        self.constants.append(value)
        return repr(f"{_MARK}{len(self.constants) - 1}")

    def function(self, called: Callable[..., Any]) -> str:
        """A name for a function that casts call."""
        name = self._functions.get(called)
        if name is None:
            name = self._functions[called] = f"f{len(self.scope)}"
            self.scope[name] = called
        return name

    def shared(self, value: Any) -> str:
        """What stands for a value that every cast shares and that may be asked for again, or how it is written."""
        if value is None or value.__class__ is bool or (value.__class__ in (str, tuple) and not value):
            return repr(value)
        known = self._shared.get(id(value))
        if known is None:
            known = self._shared[id(value)] = self.constant(value)
        return known

    def _find(self, value: Any) -> _Found | None:
        """How the value is made; None where it has no part in it."""
        kind = value.__class__
        if kind is str:
            return self._text(value)
        if value is None or kind is bool:
            return None
        part = self._objects.get(id(value))
        if part is not None:
            return self._part(part)
        if isinstance(value, _ATOMS):
            return self._moment(value) if isinstance(value, int) and value >= _MOMENT else None
        if id(value) not in self._known:
            self._kept.append(value)
            self._known[id(value)] = self._compound(value)
        return self._known[id(value)]

    def _text(self, value: str) -> _Found | None:
        part = self._texts.get(value)
        if part is not None:
            return self._part(part)
        if value not in self._plain and any(part in value for part in self._texts):
            raise Shapeless(f"a part is a piece of {value!r}")
        self._plain.add(value)
        return None

    def _moment(self, value: int) -> _Found:
        place = self._moments.get(value)
        if place is not None:
            return _Found(f"m{place}", timed=True, bare=True)
        if not self._moments:
            raise Shapeless(f"{value} is no part")
        first, place = next(iter(self._moments.items()))
        return _Found(f"(m{place} + {value - first})", timed=True, bare=True)

    def _compound(self, value: Any) -> _Found | None:
        if isinstance(value, tuple | list):
            return self._joined(enumerate(value), value, _listed)
        if isinstance(value, dict | Map):
            if any(self._find(key) is not None for key in value):
                raise Shapeless("a part is a key")
            return self._joined(value.items(), value, _merged if isinstance(value, dict) else _updated)
        kind: Any = type(value)
        names = _attributes(kind)
        return self._joined(zip(names, map(value.__getattribute__, names), strict=True), value, _evolved)

    def _joined(self, members: Iterable[tuple[Any, Any]], value: Any, write: Callable[..., str]) -> _Found | None:
        """A value with members: a line of its own, unless moments are all that is to be put into it."""
        parted = [(name, member, each) for name, member in members if (each := self._find(member)) is not None]
        if not parted:
            return None
        if all(each.timed for _, _, each in parted):
            return _Found(write(self, value, {name: each.text for name, _, each in parted}), timed=True)
        texts = {name: self.name(member) for name, member, _ in parted}
        return self._filled(value, texts) if write is _evolved else self._line(write(self, value, texts))

    def _filled(self, value: Any, texts: _Texts) -> _Found:
        """A value of a class with attributes, which is filled one by one."""
        kind: Any = type(value)
        twin = twin_to_fill(kind)
        if twin is None:
            return self._line(_evolved(self, value, texts))
        made = self._line(f"{self.function(object.__new__)}({self.shared(twin)})")
        for name in _attributes(kind):
            text = texts.get(name) or self.shared(getattr(value, name))
            self.lines.append(f"    {made.text}.{name} = {text}")
        if twin is not kind:
            self.lines.append(f"    {made.text}.__class__ = {self.shared(kind)}")
        return made

    def _line(self, expression: str) -> _Found:
        name = f"v{self._values}"
        self._values += 1
        self.lines.append(f"    {name} = {expression}")
        return _Found(name)


@lru_cache(maxsize=1024)
def _attributes(cls: Any) -> tuple[str, ...]:
    if not attrs.has(cls):
        raise Shapeless(f"no mould for {cls.__name__}")
    return tuple(each.name for each in attrs.fields(cls))


_Texts: TypeAlias = Mapping[Any, str]
"""The expressions of the members that have a part in them."""


def _evolved(writer: _Writer, value: Any, texts: _Texts) -> str:
    changer = writer.function(changer_of(type(value), *texts))
    return f"{changer}({writer.constant(value)}, {', '.join(texts.values())})"


def _listed(writer: _Writer, value: Any, texts: _Texts) -> str:
    inner = "".join(f"{texts.get(place) or writer.constant(member)}, " for place, member in enumerate(value))
    return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"


def _changes(writer: _Writer, texts: _Texts) -> str:
    return ", ".join(f"{writer.constant(key)}: {text}" for key, text in texts.items())


def _merged(writer: _Writer, value: Any, texts: _Texts) -> str:
    return f"{{**{writer.constant(value)}, {_changes(writer, texts)}}}"


def _updated(writer: _Writer, value: Any, texts: _Texts) -> str:
    return f"{writer.constant(value)}.update({{{_changes(writer, texts)}}})"
