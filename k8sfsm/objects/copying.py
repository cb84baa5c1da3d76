"""Changed copies and new values of frozen classes, several times faster than attrs makes them.

A running cluster makes hundreds of values for every pod, of classes with up to fifty attributes. A frozen value can
only be filled attribute by attribute through descriptors, which is slow. Here it is filled as an instance of a twin: a
class with the same slots that is not frozen; then it becomes what it is to be. Tested against attrs, which still
serves the classes that this cannot do: with a slot for weak references, factories, converters or validators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_type_hints

import attrs

T = TypeVar("T")
_Evolver = Callable[[Any, dict[str, Any]], Any]

_KNOWN: dict[type[Any], _Evolver] = {}


def evolve(value: T, /, **changes: Any) -> T:
    """A copy of `value` with some attributes changed. Raises TypeError for an attribute that its class has not."""
    known = _KNOWN.get(type(value)) or evolver_of(type(value))
    try:
        return known(value, changes)  # type: ignore[no-any-return]
    except AttributeError as error:
        raise TypeError(f"{type(value).__name__} has no such attribute: {error}") from None


def evolver_of(cls: type[Any]) -> _Evolver:
    """What `evolve` does for values of one class: a function of a value and the changes."""
    known = _KNOWN.get(cls)
    if known is None:
        known = _KNOWN[cls] = _evolver(cls)
    return known


def changer_of(cls: type[T], *names: str) -> Callable[..., T]:
    """What makes copies of values of a class with exactly these attributes changed: a function of a value and of what
    they change to, in order. For where the same attributes are changed again and again. Raises TypeError like `evolve`.

    An attribute of an attribute (``metadata.resource_version``) is changed in a copy of that.
    """
    known = _CHANGERS.get((cls, *names))
    if known is None:
        known = _CHANGERS[cls, *names] = _changer(cls, names)
    return known


_CHANGERS: dict[tuple[Any, ...], Callable[..., Any]] = {}


def _changer(cls: type[Any], names: tuple[str, ...]) -> Callable[..., Any]:
    parts = _parts(cls, names)
    if any(twin_to_fill(each) is None for each in parts.values()):
        return lambda value, *changes: _changed(value, dict(zip(names, changes, strict=True)))
    takes = {name: f"to{place}" for place, name in enumerate(names)}
    scope: dict[str, Any] = {"make": object.__new__}
    lines = [f"def changer(old, {', '.join(takes.values())}):"]
    for place, (path, each) in enumerate(parts.items()):  # what is within another part comes before that
        twin, prefix = twin_to_fill(each), f"{path}." if path else ""
        scope |= {f"cls{place}": each, f"Twin{place}": twin}
        lines += [f"    was = old{path and '.'}{path}", f"    new{place} = make(Twin{place})"]
        for name in (attribute.name for attribute in attrs.fields(each)):
            lines += [f"    new{place}.{name} = {takes.get(prefix + name, f'was.{name}')}"]
        lines += [f"    new{place}.__class__ = cls{place}"] if twin is not each else []
        takes[path] = f"new{place}"
    lines += [f"    return {takes['']}"]
    exec("\n".join(lines), scope)
    return scope["changer"]  # type: ignore[no-any-return]


def _parts(cls: type[Any], names: Iterable[str]) -> dict[str, type[Any]]:
    """The classes of all that is copied where attributes of these names are changed, by path, the innermost first."""
    paths = {"": cls}
    for name in names:
        path, within = "", cls
        for step in name.split("."):
            if step not in {each.name for each in attrs.fields(within)}:
                raise TypeError(f"{within.__name__} has no attribute {step}")
            paths[path] = within
            path = f"{path}.{step}" if path else step
            within = within if path == name else get_type_hints(within)[step]
    return dict(sorted(paths.items(), key=lambda each: (bool(each[0]) + each[0].count("."), each[0]), reverse=True))


def _changed(value: Any, changes: dict[str, Any]) -> Any:
    """A copy with changes by path."""
    own = {name: change for name, change in changes.items() if "." not in name}
    within: dict[str, dict[str, Any]] = {}
    for name in changes.keys() - own.keys():
        first, _, rest = name.partition(".")
        within.setdefault(first, {})[rest] = changes[name]
    return evolve(value, **own, **{name: _changed(getattr(value, name), each) for name, each in within.items()})


def fill_quickly(cls: type[Any]) -> None:
    """Give a frozen slotted class, of keywords with plain defaults only, an `__init__` that does the same faster."""
    attributes = attrs.fields(cls)
    twin = _twin(cls)
    if twin is None or not all(_is_plain(each) and each.kw_only for each in attributes):
        return
    scope: dict[str, Any] = {"cls": cls, "Twin": twin, "become": object.__dict__["__class__"].__set__}
    scope |= {f"default_{each.name}": each.default for each in attributes}
    takes = [each.name if each.default is attrs.NOTHING else f"{each.name}=default_{each.name}" for each in attributes]
    lines = [f"def __init__(self, *, {', '.join(takes)}):", "    become(self, Twin)"]
    lines += [f"    self.{each.name} = {each.name}" for each in attributes]
    lines += ["    self.__class__ = cls"]
    exec("\n".join(lines), scope)
    made: Any = scope["__init__"]
    made.__qualname__, made.__annotations__ = cls.__init__.__qualname__, cls.__init__.__annotations__
    cls.__init__ = made


def _is_plain(attribute: Any) -> bool:
    """Does giving the attribute a value mean no more than storing it under its name?"""
    simple = not isinstance(attribute.default, attrs.Factory)  # type: ignore[arg-type]
    return simple and _is_stored(attribute)


def _is_stored(attribute: Any) -> bool:
    hooks = (attribute.converter, attribute.validator, attribute.on_setattr)
    return bool(attribute.init) and attribute.alias == attribute.name and not any(hooks)


def _twin(cls: type[Any]) -> type[Any] | None:
    """A class like `cls` whose instances can be changed and can become instances of `cls`; None where none can.

    Only with both methods of `object` in it does Python store attributes without a look-up of how (five times as fast).
    """
    slots = cls.__dict__.get("__slots__")
    if slots is None:
        return None
    twin = type(
        cls.__name__,
        cls.__bases__,
        {
            "__slots__": slots,
            "__setattr__": object.__setattr__,
            "__delattr__": object.__delattr__,
            "__module__": cls.__module__,
        },
    )
    made: Any = object.__new__(twin)
    try:
        made.__class__ = cls
    except TypeError:  # other places in memory: cls has a slot for weak references
        return None
    return twin


def _is_filled_by_slot(cls: type[Any]) -> bool:
    return "__slots__" in cls.__dict__ and all(map(_is_stored, attrs.fields(cls)))


def twin_to_fill(cls: type[Any]) -> type[Any] | None:
    """The class as whose instance a copy of a value of `cls` is filled before it becomes one of `cls`.

    `cls` itself where its values are not guarded; None where there is none.
    """
    if not _is_filled_by_slot(cls):
        return None
    setter: Any = cls.__setattr__
    return cls if setter is object.__setattr__ else _twin(cls)


def _evolver(cls: type[Any]) -> _Evolver:
    """The function that makes changed copies of instances of a class."""
    if not _is_filled_by_slot(cls):
        return lambda value, changes: attrs.evolve(value, **changes)
    twin = twin_to_fill(cls)
    return _slow_copier(cls) if twin is None else _copier(cls, twin)


def _copier(cls: type[Any], twin: type[Any]) -> _Evolver:
    lines = ["def evolver(old, changes):", "    new = make(Twin)"]
    lines += [f"    new.{each.name} = old.{each.name}" for each in attrs.fields(cls)]
    lines += ["    for name in changes:", "        put(new, name, changes[name])"]
    lines += ["    new.__class__ = cls"] if twin is not cls else []
    lines += ["    return new"]
    scope: dict[str, Any] = {"cls": cls, "Twin": twin, "make": object.__new__, "put": setattr}
    exec("\n".join(lines), scope)
    return scope["evolver"]  # type: ignore[no-any-return]


def _slow_copier(cls: type[Any]) -> _Evolver:
    """For frozen classes with a slot for weak references."""
    names = [attribute.name for attribute in attrs.fields(cls)]
    setters: dict[str, Any] = {name: getattr(cls, name).__set__ for name in names}
    lines = ["def evolver(old, changes):", "    new = make(cls)"]
    lines += [f"    set_{name}(new, old.{name})" for name in names]
    lines += ["    for name in changes:", "        put(new, name, changes[name])", "    return new"]
    scope: dict[str, Any] = {"cls": cls, "make": object.__new__, "put": object.__setattr__}
    scope |= {f"set_{name}": setter for name, setter in setters.items()}
    exec("\n".join(lines), scope)
    return scope["evolver"]  # type: ignore[no-any-return]
