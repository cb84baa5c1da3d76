"""What is allowed as a label key, a label value, a DNS name: lists of the API server's complaints, empty when right.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go, pkg/api/validate/content
"""

from __future__ import annotations

import re
from typing import Final

MAX_LABEL: Final = 63
MAX_SUBDOMAIN: Final = 253

_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE: Final = f"({_QUALIFIED})?"
_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN: Final = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"

_NAME_RULE: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_KEY_EXAMPLES: Final = ("MyName", "my.name", "123-abc")


def _complaint(rule: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {shown}regex used for validation is '{pattern}')"


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII) is not None


def _too_long(text: str, limit: int, unit: str) -> list[str]:
    return [f"must be no more than {limit} {unit}"] if len(text.encode()) > limit else []


def label_key_errors(key: str) -> list[str]:
    """Complaints about a label key (a qualified name: an optional DNS subdomain, `/`, a name)."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        shape = _complaint(f"a valid label key {_NAME_RULE}", _QUALIFIED, *_KEY_EXAMPLES)
        return [f"{shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    errors: list[str] = []
    if slash:
        found = dns_subdomain_errors(prefix) if prefix else ["must be non-empty"]
        errors += [f"prefix part {error}" for error in found]
    errors += [f"name part {error}" for error in ([] if name else ["must be non-empty"])]
    errors += [f"name part {error}" for error in _too_long(name, MAX_LABEL, "bytes")]
    if not _matches(_QUALIFIED, name):
        errors.append("name part " + _complaint(_NAME_RULE, _QUALIFIED, *_KEY_EXAMPLES))
    return errors


def label_value_errors(value: str) -> list[str]:
    """Complaints about a label value."""
    errors = _too_long(value, MAX_LABEL, "bytes")
    if not _matches(_LABEL_VALUE, value):
        errors.append(_complaint(_VALUE_RULE, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def dns_subdomain_errors(text: str) -> list[str]:
    """Complaints about an RFC 1123 subdomain."""
    errors = _too_long(text, MAX_SUBDOMAIN, "bytes")
    if not _matches(_DNS_SUBDOMAIN, text):
        errors.append(_complaint(_SUBDOMAIN_RULE, _DNS_SUBDOMAIN, "example.com"))
    return errors


def dns_label_errors(text: str) -> list[str]:
    """Complaints about an RFC 1123 label."""
    errors = _too_long(text, MAX_LABEL, "bytes")
    if not _matches(_DNS_LABEL, text):
        errors.append(_complaint(_LABEL_RULE, _DNS_LABEL, "my-name", "123-abc"))
    return errors
