"""A part of an object, as the tables of defaults and of validation are asked about it.

A part is an API type or plain JSON; facts that read its fields work on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from attrs import field

from k8sfsm.apiserver.deletion import law
from k8sfsm.objects.base import camel_case
from k8sfsm.value import value


@value
class Part:
    """A part of an object. `root`: the kind of the whole object.

    `parent`: the part that it is in (of a default: the value itself). `path`: where it is, as errors say it. `table`:
    the name of the table that judges it. `old`: what stood there before an update, None for a new object.
    """

    value: Any
    root: str
    parent: Any = None
    path: str = ""
    table: str = ""
    old: Any = None
    notes: dict[str, Any] = field(factory=dict, eq=False, repr=False)

    def get(self, name: str) -> Any:
        """A field by its JSON name; None where there is none."""
        return self.value.get(name) if isinstance(self.value, Mapping) else None

    def within(self, table: str) -> Part | None:
        """The nearest part around this one, or this one, that a table of that name judges."""
        part: Part | None = self
        while part is not None and part.table != table:
            part = part.parent
        return part


@cache
def _json_name(attribute: str) -> str:
    return camel_case(attribute)


def field_of(part: Part, attribute: str) -> Any:
    """A field of a part, by its name in snake case."""
    found = part.value
    return found.get(_json_name(attribute)) if isinstance(found, Mapping) else getattr(found, attribute)


def _reader(attribute: str) -> None:
    """Register the fact of that name: what the part has in that field."""

    def fact(part: Part) -> Any:
        found = field_of(part, attribute)
        return found if found is None or isinstance(found, str | int) else "given"

    fact.__name__ = attribute
    fact.__doc__ = f"`{attribute}` of the part; its zero value where it is not set, `given` where it has parts."
    law.fact(fact)


def _counter(attribute: str) -> None:
    """Register the fact `<name>_count`: how many entries that field has."""

    def fact(part: Part) -> int:
        found = field_of(part, attribute)
        return len(found) if isinstance(found, Mapping | list | tuple) else 0

    fact.__name__ = f"{attribute}_count"
    fact.__doc__ = f"How many entries `{attribute}` of the part has."
    law.fact(fact)


READ: Final = (
    "allocate_load_balancer_node_ports",
    "allow_privilege_escalation",
    "api_group",
    "dns_policy",
    "enable_service_links",
    "external_traffic_policy",
    "failure_threshold",
    "host_pid",
    "image_pull_policy",
    "internal_traffic_policy",
    "ip",
    "ip_mode",
    "key",
    "label_selector",
    "localhost_profile",
    "max_surge",
    "max_unavailable",
    "name",
    "operator",
    "path",
    "period_seconds",
    "privileged",
    "progress_deadline_seconds",
    "protocol",
    "replicas",
    "restart_policy",
    "revision_history_limit",
    "rolling_update",
    "scheduler_name",
    "scheme",
    "security_context",
    "service",
    "service_account_name",
    "session_affinity",
    "share_process_namespace",
    "success_threshold",
    "sub_path",
    "target_port",
    "termination_grace_period_seconds",
    "termination_message_path",
    "termination_message_policy",
    "timeout_seconds",
    "toleration_seconds",
    "type",
    "value",
    "when_unsatisfiable",
)
COUNTED: Final = (
    "ports",
    "restart_policy_rules",
    "values",
)
for _attribute in READ:
    _reader(_attribute)
for _attribute in COUNTED:
    _counter(_attribute)
