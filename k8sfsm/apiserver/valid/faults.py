"""What is wrong with a field, as the API server says it.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go: Error.ErrorBody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from k8sfsm.objects import Quantity
from k8sfsm.objects.gotext import quote
from k8sfsm.value import value

ERROR_TYPES: Final = {
    "Invalid value": "FieldValueInvalid",
    "Required value": "FieldValueRequired",
    "Duplicate value": "FieldValueDuplicate",
    "Forbidden": "FieldValueForbidden",
    "Unsupported value": "FieldValueNotSupported",
    "Not found": "FieldValueNotFound",
    "Too long": "FieldValueTooLong",
    "Too many": "FieldValueTooMany",
    "Internal error": "InternalError",
}
"""The machine-readable reason of each error."""
_VALUELESS: Final = ("Required value", "Forbidden", "Too long", "Too many", "Internal error")


@value
class Fault:
    """One error of a field. `error`: its type, as people read it; `shown`: the bad value, as it is shown."""

    field: str
    error: str
    shown: str = ""
    detail: str = ""

    @property
    def type(self) -> str:
        """The machine-readable reason."""
        return ERROR_TYPES[self.error]

    def __str__(self) -> str:
        parts = (self.error, "" if self.error in _VALUELESS else self.shown, self.detail)
        return ": ".join((self.field, *(part for part in parts if part)))


def shown(found: Any) -> str:
    """A bad value in an error's text. Text is quoted, parts are JSON."""
    if isinstance(found, str | Quantity):
        return quote(str(found))
    text = json.dumps(_plain(found), ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {str(name): _plain(item) for name, item in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(item) for item in found]
    return found if found is None or isinstance(found, bool | int | float | str) else str(found)


def message(faults: Iterable[Fault]) -> str:
    """Several errors as one text; what is said twice is said once.

    Source: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go: ErrorList.ToAggregate.
    """
    texts = tuple(dict.fromkeys(map(str, faults)))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
