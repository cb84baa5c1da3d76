"""What every API type is made of: frozen slotted attrs classes whose attributes know their JSON names.

Go semantics: an absent field is the zero value of its type, so every attribute has a default: "" for strings,
0, False, () for lists, `NOTHING` for maps, None for Go pointers. Whether a zero value is written to JSON
follows the Go tags: an attribute is left out when it is zero (omitempty), unless it is declared by `written`
or holds a struct that is not a pointer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn, TypeAlias

from attrs import Attribute, field, fields, frozen

from k8sfsm.objects.copying import fill_quickly

JSON: TypeAlias = Mapping[str, Any]
"""A part of an object that has no type of its own: kept as it was read."""
Time: TypeAlias = Annotated[int, "metav1.Time"]
"""Nanoseconds since the Unix epoch; JSON: RFC 3339 in whole seconds."""
MicroTime: TypeAlias = Annotated[int, "metav1.MicroTime"]
"""Nanoseconds since the Unix epoch; JSON: RFC 3339 with six digits of the second."""
IntOrString: TypeAlias = int | str

_WRITTEN: Final = "written"
_NAME: Final = "name"
_CAPITALS: Final = {
    word.lower(): word
    for word in (
        "IP",
        "IPs",
        "ID",
        "IDs",
        "UID",
        "UUID",
        "CIDR",
        "CIDRs",
        "IPC",
        "PID",
        "FQDN",
        "DNS",
        "OS",
        "API",
        "URLs",
    )
}


class _NoEntries(dict[str, Any]):
    """The empty map that all absent maps share; writing to it is a mistake and is refused."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("API objects are immutable; make a changed copy with attrs.evolve")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> str:
        return "NOTHING"

    def __copy__(self) -> _NoEntries:
        return self

    def __deepcopy__(self, memo: Any) -> _NoEntries:
        return self


NOTHING: Final[Mapping[str, Any]] = _NoEntries()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Struct:
    """The base of all API types. `extra` holds the JSON fields that the type does not model."""

    extra: JSON = NOTHING

    def __init_subclass__(cls) -> None:
        """Every API type is filled the fast way."""
        if "__attrs_attrs__" in cls.__dict__:
            fill_quickly(cls)

    def __repr__(self) -> str:
        """Only what is set."""
        set_ = (
            f"{attribute.name}={value!r}"
            for attribute in fields(type(self))
            if (value := getattr(self, attribute.name)) != attribute.default
        )
        return f"{type(self).__name__}({', '.join(set_)})"


def written(default: Any, name: str = "") -> Any:
    """An attribute that is written even when it is zero (in Go: no omitempty). `name`: its JSON name, if irregular."""
    return field(default=default, metadata={_WRITTEN: True, _NAME: name})


def is_written(attribute: Attribute[Any]) -> bool:
    """True when the attribute's zero value appears in JSON."""
    return bool(attribute.metadata.get(_WRITTEN)) or isinstance(attribute.default, Struct)


def json_name(attribute: Attribute[Any]) -> str:
    """The JSON name of an attribute: `pod_ips` is `podIPs`."""
    given: str = attribute.metadata.get(_NAME, "")
    if given:
        return given
    return camel_case(attribute.name)


def camel_case(name: str) -> str:
    """A name in snake case as JSON has it: `pod_ips` is `podIPs`."""
    first, *rest = name.split("_")
    return first + "".join(_CAPITALS.get(word, word.capitalize()) for word in rest)


def is_object(cls: type[Struct]) -> bool:
    """True for the types of whole objects: those that have their apiVersion and kind as class variables."""
    return isinstance(getattr(cls, "kind", None), str)
