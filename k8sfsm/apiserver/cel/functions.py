"""Kubernetes' CEL functions, by name. `receiver.name(arguments)` calls a function with the receiver first.

Quantities and URLs are maps with one member, which the functions about them take.
Source: staging/src/k8s.io/apiserver/pkg/cel/library: lists.go, regex.go, quantity.go, urls.go, ip.go, cidr.go;
github.com/google/cel-go/ext/strings.go.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from k8sfsm.objects import Quantity, QuantityError

_QUANTITY: Final = "quantity"
_URL: Final = "url"


# -- texts ------------------------------------------------------------------------------------------------------------


def _split(text: str, by: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    return text.split(by, most - 1 if most > 0 else -1) if by else list(text)


def _join(items: list[str], by: str = "") -> str:
    return by.join(items)


def _replace(text: str, old: str, new: str, most: int = -1) -> str:
    return text.replace(old, new, most)


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise ValueError("index out of range")
    return text[start:stop]


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise ValueError("index out of range")
    return text[at : at + 1]


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match.group() if match is not None else ""


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    found = [match.group() for match in re.finditer(pattern, text)]
    return found if most < 0 else found[:most]


def _format(text: str, arguments: list[Any]) -> str:
    left = iter(arguments)
    return re.sub(r"%(%|[sdxXob]|(?:\.(\d+))?f)", lambda match: _formatted(match, left), text)


def _formatted(match: re.Match[str], left: Any) -> str:
    verb = match.group(1)
    if verb == "%":
        return "%"
    part = next(left)
    if verb == "s":
        return _shown(part)
    if verb.endswith("f"):
        return f"{float(part):.{int(match.group(2) or 6)}f}"
    return format(part, verb)


def _shown(part: Any) -> str:
    if isinstance(part, bool):
        return str(part).lower()
    if isinstance(part, list):
        return "[" + ", ".join(map(_shown, part)) + "]"
    return str(part)


# -- lists ------------------------------------------------------------------------------------------------------------


def _sum(items: list[Any]) -> Any:
    return sum(items)


def _is_sorted(items: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(items))


def _index_of(found: Any, wanted: Any) -> int:
    if isinstance(found, str):
        return found.find(wanted)
    return found.index(wanted) if wanted in found else -1


def _last_index_of(found: Any, wanted: Any) -> int:
    if isinstance(found, str):
        return found.rfind(wanted)
    return len(found) - 1 - found[::-1].index(wanted) if wanted in found else -1


def _sets_contains(found: list[Any], wanted: list[Any]) -> bool:
    return all(each in found for each in wanted)


# -- quantities -------------------------------------------------------------------------------------------------------


def _quantity(text: str) -> dict[str, str]:
    return {_QUANTITY: str(Quantity.parse(text))}


def _is_quantity(text: Any) -> bool:
    try:
        Quantity.parse(text)
    except (QuantityError, TypeError, AttributeError):
        return False
    return True


def _amount(found: Any) -> Quantity:
    if isinstance(found, Mapping) and _QUANTITY in found:
        return Quantity.parse(found[_QUANTITY])
    return Quantity.parse(str(found))


def _compared(a: Any, b: Any) -> int:
    left, right = _amount(a), _amount(b)
    return (left > right) - (left < right)


def _added(a: Any, b: Any) -> dict[str, str]:
    return {_QUANTITY: str(_amount(a) + _amount(b))}


def _taken(a: Any, b: Any) -> dict[str, str]:
    return {_QUANTITY: str(_amount(a) - _amount(b))}


def _as_integer(found: Any) -> int:
    if not _is_integer(found):
        raise ValueError("cannot convert value to integer")
    return int(_amount(found).value)


def _is_integer(found: Any) -> bool:
    return _amount(found).round_up(0)[1]


def _as_float(found: Any) -> float:
    return float(_amount(found).milli_value) / 1000


def _sign(found: Any) -> int:
    return _compared(found, "0")


# -- URLs, addresses --------------------------------------------------------------------------------------------------


def _url(text: str) -> dict[str, str]:
    if not _is_url(text):
        raise ValueError(f"URL parse error: {text}")
    return {_URL: text}


def _is_url(text: Any) -> bool:
    try:
        parts = urlsplit(text)
    except (ValueError, AttributeError):
        return False
    return bool(parts.scheme) or str(text).startswith("/")


def _parts(found: Mapping[str, str]) -> SplitResult:
    return urlsplit(found[_URL])


def _port(found: Mapping[str, str]) -> str:
    port = _parts(found).port
    return "" if port is None else str(port)


def _host(found: Mapping[str, str]) -> str:
    return _parts(found).netloc.rpartition("@")[2]


def _hostname(found: Mapping[str, str]) -> str:
    return _parts(found).hostname or ""


def _is_ip(text: Any) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: Any) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in str(text)


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "split": _split,
    "join": _join,
    "replace": _replace,
    "substring": _substring,
    "charAt": _char_at,
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "reverse": lambda found: found[::-1],
    "format": _format,
    "find": _find,
    "findAll": _find_all,
    "sum": _sum,
    "min": min,
    "max": max,
    "isSorted": _is_sorted,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "containsAll": _sets_contains,
    "quantity": _quantity,
    "isQuantity": _is_quantity,
    "isGreaterThan": lambda a, b: _compared(a, b) > 0,
    "isLessThan": lambda a, b: _compared(a, b) < 0,
    "compareTo": _compared,
    "add": _added,
    "sub": _taken,
    "sign": _sign,
    "asInteger": _as_integer,
    "isInteger": _is_integer,
    "asApproximateFloat": _as_float,
    "url": _url,
    "isURL": _is_url,
    "getScheme": lambda found: _parts(found).scheme,
    "getHost": _host,
    "getHostname": _hostname,
    "getPort": _port,
    "getEscapedPath": lambda found: _parts(found).path,
    "getQuery": lambda found: parse_qs(_parts(found).query, keep_blank_values=True),
    "isIP": _is_ip,
    "isCIDR": _is_cidr,
}
"""Functions by name; those of quantities and URLs take what `quantity` and `url` give."""
