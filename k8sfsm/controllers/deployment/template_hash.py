"""The pod template hash: FNV-32a over the text of the Go value, as `specs/deployment/pod_template_*.yaml` lays it out.

Source: pkg/controller/controller_utils.go: ComputeHash; pkg/util/hash/hash.go: DeepHashObject;
staging/src/k8s.io/apimachinery/pkg/util/dump/dump.go: ForHash; .../util/rand/rand.go: SafeEncodeString.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from attrs import frozen

from k8sfsm.objects import Quantity, parse_time
from k8sfsm.objects.durations import SECOND
from k8sfsm.spec.loader import specs_dir
from k8sfsm.spec.source import read_yaml

_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_YEAR_ONE: Final = 62_135_596_800
"""Seconds from the year 1 to the Unix epoch."""
_MAX_NAME: Final = 253
_BASIC: Final = {"string": "", "bool": "false", "int32": "0", "int64": "0", "uint64": "0"}


@frozen
class Layout:
    """Go types by name: `structs` (field name, JSON name, type), named scalars and named maps."""

    root: str
    structs: Mapping[str, tuple[tuple[str, str, str], ...]]
    scalars: Mapping[str, str]
    maps: Mapping[str, str]


@cache
def layout() -> Layout:
    """The layout of PodTemplateSpec. Read from the specs when first asked for."""
    structs: dict[str, tuple[tuple[str, str, str], ...]] = {}
    main: Mapping[str, Any] = {}
    for file in ("pod_template_layout.yaml", "pod_template_volumes.yaml"):
        part, _ = read_yaml((specs_dir() / "deployment" / file).read_text("utf-8"), file)
        for name, fields in part["structs"].items():
            structs[name] = tuple((go, json, kind) for go, (json, kind) in fields.items())
        main = main or part
    return Layout(main["root"], structs, main["scalars"], main["maps"])


def dump(template: Mapping[str, Any]) -> str:
    """The text that is hashed. `template`: a PodTemplateSpec in JSON form."""
    root = layout().root
    return f"({root}){_struct(root, template)}"


def template_hash(template: Mapping[str, Any], collision_count: int | None) -> str:
    """The value of the label pod-template-hash for a template (JSON form, without that label).

    `collision_count`: status.collisionCount of the Deployment, None where it is not set.
    """
    data = dump(template).encode()
    if collision_count is not None:
        data += (collision_count & 0xFFFFFFFF).to_bytes(4, "little") + bytes(4)
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(_fnv_32a(data)))


def replica_set_name(deployment: str, hash_text: str) -> str:
    """The name of a new ReplicaSet; a long Deployment name is cut. Source: sync.go: generateReplicaSetName."""
    room = _MAX_NAME - len(hash_text) - 1
    return f"{deployment[:room]}-{hash_text}"


def _fnv_32a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def _typed(kind: str, value: Any) -> str:
    """A value with its type in front, as a struct's field shows it."""
    if kind.startswith("*"):
        return f"({kind}){'<nil>' if value is None else _bare(kind[1:], value)}"
    return f"({kind}){_bare(kind, value)}"


def _bare(kind: str, value: Any) -> str:
    """A value without its type, as an element of a list shows it. None: the zero value."""
    kind = layout().maps.get(kind, kind)
    if kind.startswith("[]"):
        return _list(kind[2:], value)
    if kind.startswith("map["):
        return _map(kind.partition("]")[2], value)
    if kind in _SPECIAL:
        return str(_SPECIAL[kind](value))
    if kind in layout().structs:
        return _struct(kind, value or {})
    return _scalar(layout().scalars.get(kind, kind), value)


def _scalar(basic: str, value: Any) -> str:
    if value is None:
        return _BASIC[basic]
    if basic == "bool":
        return "true" if value else "false"
    return str(value)


def _list(kind: str, value: Any) -> str:
    # An empty list is nil once it has been through protobuf, which is how the controller reads objects.
    if not value:
        return "<nil>"
    return "[" + " ".join(_bare(kind, item) for item in value) + "]"


def _map(kind: str, value: Any) -> str:
    if not value:
        return "<nil>"
    return "map[" + " ".join(f"{key}:{_bare(kind, value[key])}" for key in sorted(value, key=str.encode)) + "]"


def _struct(kind: str, value: Mapping[str, Any]) -> str:
    shown = []
    for name, json, field in layout().structs[kind]:
        member = value if json == "" else value.get(json)
        shown.append(f"{name}:{_typed(field, member)}")
    return "{" + " ".join(shown) + "}"


def _quantity(value: Any) -> str:
    # A quantity that is not there reads as "0": the API server always writes it.
    inner = Quantity.parse(str(value) if value is not None else "0").internals
    amount = f"{{value:(int64){inner.value} scale:(resource.Scale){inner.scale}}}"
    decimal = "<nil>" if inner.decimal is None else _decimal(*inner.decimal)
    return (
        f"{{i:(resource.int64Amount){amount} d:(resource.infDecAmount){{Dec:(*inf.Dec){decimal}}}"
        f" s:(string){inner.s} Format:(resource.Format){inner.format}}}"
    )


def _decimal(unscaled: int, scale: int) -> str:
    """An inf.Dec: a sign, 64-bit words (the lowest first) and the number of digits after the point."""
    words, rest = [], abs(unscaled)
    while rest:
        words.append(str(rest & 0xFFFFFFFFFFFFFFFF))
        rest >>= 64
    digits = f"[{' '.join(words)}]" if words else "<nil>"
    number = f"{{neg:(bool){'true' if unscaled < 0 else 'false'} abs:(big.nat){digits}}}"
    return f"{{unscaled:(big.Int){number} scale:(inf.Scale){scale}}}"


def _time(value: Any) -> str:
    """A time as the controller has it in memory: whole seconds, in the local zone (a container's: UTC)."""
    if value is None:
        return "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
    seconds = parse_time(value) // SECOND + _YEAR_ONE
    zone = (
        "{name:(string)UTC zone:([]time.zone)<nil> tx:([]time.zoneTrans)<nil> extend:(string)"
        " cacheStart:(int64)0 cacheEnd:(int64)0 cacheZone:(*time.zone)<nil>}"
    )
    return f"{{Time:(time.Time){{wall:(uint64)0 ext:(int64){seconds} loc:(*time.Location){zone}}}}}"


def _int_or_string(value: Any) -> str:
    text = isinstance(value, str)
    number = 0 if text or value is None else value
    return f"{{Type:(intstr.Type){int(text)} IntVal:(int32){number} StrVal:(string){value if text else ''}}}"


def _raw(value: Any) -> str:
    """FieldsV1: the bytes of a JSON text."""
    import json

    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "{Raw:([]uint8)[" + " ".join(str(byte) for byte in text.encode()) + "]}"


_SPECIAL: Final = {
    "resource.Quantity": _quantity,
    "v1.Time": _time,
    "intstr.IntOrString": _int_or_string,
    "v1.FieldsV1": _raw,
}
