"""The constraints that rows of validation tables name: what a field must be.

A constraint gets a field and the row, and yields its errors. One that is not about presence lets absent fields pass.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from attrs import evolve

from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.faults import Fault
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.valid.judge import Row, Spot, constraint, judged

_ANNOTATIONS_MAX: Final = 256 * 1024
_PORTS: Final = range(1, 65536)
_RANGE: Final = "must be between {0} and {1}, inclusive"


@constraint("never")
def never(spot: Spot, row: Row) -> Iterator[Fault]:
    """The row's conditions are the error."""
    yield spot.fault(row)


@constraint("given")
def given(spot: Spot, row: Row) -> Iterator[Fault]:
    """The field is there and not empty."""
    if spot.value is None or spot.value == "" or spot.value == 0 or spot.value == [] or spot.value == {}:
        yield evolve(spot.fault(row), error=row.error or "Required value")


@constraint("absent")
def absent(spot: Spot, row: Row) -> Iterator[Fault]:
    """The field is not there."""
    if spot.value is not None and spot.value != [] and spot.value != "":
        yield evolve(spot.fault(row), error=row.error or "Forbidden")


@constraint("unchanged")
def unchanged(spot: Spot, row: Row) -> Iterator[Fault]:
    """An update leaves the field as it was."""
    if (spot.value or None) != (spot.old or None):
        blank = "" if isinstance(spot.old, str) else None
        yield spot.fault(row, "", blank if spot.value is None else spot.value)


@constraint("format")
def has_format(spot: Spot, row: Row) -> Iterable[Fault]:
    """Text of a format; nothing is said of an empty one."""
    return strict_format(spot, row) if spot.value else ()


@constraint("strict-format")
def strict_format(spot: Spot, row: Row) -> Iterator[Fault]:
    """Text of a format; empty text is judged as well."""
    text = "" if spot.value is None else spot.value
    if not isinstance(text, str):
        yield spot.fault(row, "must be text")
        return
    for error in format_errors(row.of, text):
        yield spot.fault(row, error, text)


@constraint("joined-format")
def joined_format(spot: Spot, row: Row) -> Iterator[Fault]:
    """Text of a format; all that is wrong is said in one error."""
    errors = format_errors(row.of, spot.value or "")
    if errors:
        yield spot.fault(row, ";".join(errors), spot.value or "")


@constraint("one-of")
def one_of(spot: Spot, row: Row) -> Iterator[Fault]:
    """One of a few values."""
    if spot.value is not None and spot.value not in row.of:
        choices = ", ".join(f'"{choice}"' for choice in row.of)
        yield evolve(spot.fault(row, f"supported values: {choices}"), error="Unsupported value")


@constraint("at-least")
def at_least(spot: Spot, row: Row) -> Iterator[Fault]:
    """A number that is not below a bound."""
    if isinstance(spot.value, int) and spot.value < row.of:
        yield spot.fault(row)


@constraint("between")
def between(spot: Spot, row: Row) -> Iterator[Fault]:
    """A number within two bounds, both allowed."""
    low, high = row.of
    if isinstance(spot.value, int) and not low <= spot.value <= high:
        yield spot.fault(row, row.detail or _RANGE.format(low, high))


@constraint("port")
def port(spot: Spot, row: Row) -> Iterator[Fault]:
    """The number of a port, or a port's name. Source: ValidatePortNumOrName."""
    if isinstance(spot.value, str):
        for error in format_errors("port-name", spot.value):
            yield spot.fault(row, error)
    elif (spot.value or 0) not in _PORTS:
        yield spot.fault(row, _RANGE.format(_PORTS[0], _PORTS[-1]), spot.value or 0)


@constraint("number-or-percent")
def number_or_percent(spot: Spot, row: Row) -> Iterator[Fault]:
    """A number that is not negative, or a percentage. Source: ValidatePositiveIntOrPercent."""
    if isinstance(spot.value, str):
        for error in format_errors("percent", spot.value):
            yield spot.fault(row, error)
    elif isinstance(spot.value, int) and spot.value < 0:
        yield spot.fault(row, "must be greater than or equal to 0")


@constraint("labels")
def label_map(spot: Spot, row: Row) -> Iterator[Fault]:
    """A map of label keys to label values. Source: ValidateLabels."""
    for key, text in _entries(spot.value):
        for error in format_errors("label-key", key):
            yield spot.fault(row, error, key)
        for error in format_errors("label-value", text if isinstance(text, str) else ""):
            yield spot.fault(row, error, text)


@constraint("annotations")
def annotation_map(spot: Spot, row: Row) -> Iterator[Fault]:
    """A map of keys like those of labels, capitals allowed, that is not too large. Source: ValidateAnnotations."""
    for key, _ in _entries(spot.value):
        for error in format_errors("annotation-key", key):
            yield spot.fault(row, error, key)
    if sum(len(key.encode()) + len(str(text).encode()) for key, text in _entries(spot.value)) > _ANNOTATIONS_MAX:
        yield evolve(spot.fault(row, f"may not be more than {_ANNOTATIONS_MAX} bytes"), error="Too long")


def _entries(found: Any) -> list[tuple[str, Any]]:
    return [(str(name), item) for name, item in found.items()] if isinstance(found, Mapping) else []


@constraint("unique")
def unique(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list in which no two entries have the same value of a field; `of`: that field (empty: the entries themselves).

    With a second word in `of`, only values of that format are compared.
    """
    name, form = (row.of + " ").split(" ", 1)
    seen: list[Any] = []
    for index, item in enumerate(spot.value or ()):
        found = item.get(name) if name and isinstance(item, Mapping) else item
        if found is None or (form.strip() and format_errors(form.strip(), str(found))):
            continue
        if found in seen:
            under = f"[{index}].{name}" if name else f"[{index}]"
            yield evolve(spot.fault(row, "", found, under), error=row.error or "Duplicate value")
        seen.append(found)


@constraint("be")
def be(spot: Spot, row: Row) -> Iterable[Fault]:
    """A part that another table judges; `of`: the table."""
    if spot.value is None:
        return ()
    whole = spot.whole
    if spot.value is whole.value:
        return judged(Part(whole.value, whole.root, whole.parent, whole.path, row.of, whole.old, whole.notes))
    return judged(Part(spot.value, whole.root, whole, spot.path, row.of, spot.old))


@constraint("each")
def each(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list of parts that another table judges; `of`: the table."""
    entries = spot.value if isinstance(spot.value, list | tuple) else ()
    olds = spot.old if isinstance(spot.old, list | tuple) else ()
    for index, item in enumerate(entries):
        old = olds[index] if index < len(olds) else None
        yield from judged(Part(item, spot.whole.root, spot.whole, f"{spot.path}[{index}]", row.of, old))


@constraint("no-backsteps")
def no_backsteps(spot: Spot, row: Row) -> Iterator[Fault]:
    """A path without `..`. Source: validatePathNoBacksteps."""
    if isinstance(spot.value, str) and ".." in spot.value.split("/"):
        yield spot.fault(row, "must not contain '..'")


@constraint("local-path")
def local_path(spot: Spot, row: Row) -> Iterator[Fault]:
    """A path that is relative and stays below where it starts. Source: validateLocalDescendingPath."""
    if isinstance(spot.value, str) and spot.value.startswith("/"):
        yield spot.fault(row, "must be a relative path")
    yield from no_backsteps(spot, row)


@constraint("inner-path")
def inner_path(spot: Spot, row: Row) -> Iterator[Fault]:
    """A local path that starts with no `..` that the kubelet keeps for itself. Source: ValidateLocalNonReservedPath."""
    yield from local_path(spot, row)
    if isinstance(spot.value, str) and spot.value.startswith("..") and not spot.value.startswith("../"):
        yield spot.fault(row, "must not start with '..'")


_ZEROS: Final = re.compile(r"(?<![0-9a-fA-F:])0+(?=[0-9])")


def parsed_ip(text: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; numbers may have leading zeros. Source: k8s.io/utils/net: ParseIPSloppy."""
    try:
        return ipaddress.ip_address(_ZEROS.sub("", text) if isinstance(text, str) else "")
    except ValueError:
        return None


_PLAIN_IP: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}", re.ASCII)


@lru_cache(maxsize=4096)
def is_plain_ip(text: str) -> bool:
    """Whether a text is an IPv4 address as everybody writes it: the quick question."""
    return _PLAIN_IP.match(text) is not None


@constraint("ip")
def ip(spot: Spot, row: Row) -> Iterator[Fault]:
    """An IP address."""
    if parsed_ip(spot.value) is None:
        yield spot.fault(row, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", spot.value or "")


@constraint("cidr")
def cidr(spot: Spot, row: Row) -> Iterator[Fault]:
    """A range of IP addresses, space around it allowed."""
    text = spot.value.strip() if isinstance(spot.value, str) else ""
    address, slash, bits = text.partition("/")
    found = parsed_ip(address)
    if found is None or not slash or not bits.isdigit() or int(bits) > found.max_prefixlen:
        yield spot.fault(row, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)", text)


@constraint("ordinary-ip")
def ordinary_ip(spot: Spot, row: Row) -> Iterator[Fault]:
    """An address of no special range. Source: ValidateNonSpecialIP."""
    found = parsed_ip(spot.value)
    if found is None:
        return
    link_multicast = ipaddress.ip_network("224.0.0.0/24" if found.version == 4 else "ff02::/16")
    if found.is_unspecified:
        yield spot.fault(row, f"may not be unspecified ({spot.value})")
    if found.is_loopback:
        yield spot.fault(row, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if found.is_link_local:
        yield spot.fault(row, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if found in link_multicast:
        yield spot.fault(row, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


@constraint("known-of")
def known_of(spot: Spot, row: Row) -> Iterable[Fault]:
    """One of a few values, or none."""
    return one_of(spot, row) if spot.value else ()


@constraint("present")
def present(spot: Spot, row: Row) -> Iterator[Fault]:
    """The field is there, even if it is empty."""
    if spot.value is None:
        yield evolve(spot.fault(row), error=row.error or "Required value")


@constraint("empty")
def empty(spot: Spot, row: Row) -> Iterator[Fault]:
    """A part with nothing in it."""
    if spot.value:
        yield spot.fault(row)


@constraint("not-true")
def not_true(spot: Spot, row: Row) -> Iterator[Fault]:
    """A switch that is not on."""
    if spot.value is True:
        yield spot.fault(row)


@constraint("text")
def text(spot: Spot, row: Row) -> Iterator[Fault]:
    """The row's conditions are the error; a text that is absent is shown as an empty one."""
    yield spot.fault(row, "", spot.value or "")


@constraint("strict-optional")
def strict_optional(spot: Spot, row: Row) -> Iterable[Fault]:
    """Text of a format, where it is given; empty text is judged as well."""
    return () if spot.value is None else strict_format(spot, row)


@constraint("at-most")
def at_most(spot: Spot, row: Row) -> Iterator[Fault]:
    """A number, or a number of entries, that is not above a bound; `{0}` is the bound."""
    found = spot.value if isinstance(spot.value, int) else len(spot.value or ())
    if found > row.of:
        yield spot.fault(row, row.detail.format(row.of))


@constraint("joined-length")
def joined_length(spot: Spot, row: Row) -> Iterator[Fault]:
    """A list of words that are not too long together, with a space between them."""
    if len(" ".join(map(str, spot.value or ())).encode()) > row.of:
        yield spot.fault(row, row.detail.format(row.of))


@constraint("named")
def named(spot: Spot, row: Row) -> Iterator[Fault]:
    """A part with a name."""
    if not (isinstance(spot.value, Mapping) and spot.value.get("name")):
        yield spot.fault(row)


@constraint("say")
def say(spot: Spot, row: Row) -> Iterator[Fault]:
    """The row's conditions are the error; `{0}` is the field that `of` names."""
    yield spot.fault(row, row.detail.format(spot.whole.get(row.of)))


@constraint("one-part")
def one_part(spot: Spot, row: Row) -> Iterator[Fault]:
    """Of several parts (`of`) only one is given; each further one is an error of its own."""
    found = [name for name in row.of if isinstance(spot.value, Mapping) and spot.value.get(name) is not None]
    for name in found[1:]:
        yield spot.fault(row, under=f".{name}")
