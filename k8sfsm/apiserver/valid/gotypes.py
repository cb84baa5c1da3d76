"""Go structs that errors show with the names of their fields in Go, which have no JSON tags inside the API server.

Source: pkg/apis/core/types.go: SecurityContext, ServicePort; pkg/apis/apps/types.go: DeploymentStrategy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sfsm.objects.base import camel_case

GO_TYPES: Final[dict[str, tuple[tuple[str, str, Any], ...]]] = {
    "DeploymentStrategy": (("Type", "", ""), ("RollingUpdate", "RollingUpdateDeployment", None)),
    "RollingUpdateDeployment": (("MaxUnavailable", "", 0), ("MaxSurge", "", 0)),
    "SecurityContext": (
        ("Capabilities", "Capabilities", None),
        ("Privileged", "", None),
        ("SELinuxOptions", "SELinuxOptions", None),
        ("WindowsOptions", "WindowsOptions", None),
        ("RunAsUser", "", None),
        ("RunAsGroup", "", None),
        ("RunAsNonRoot", "", None),
        ("ReadOnlyRootFilesystem", "", None),
        ("AllowPrivilegeEscalation", "", None),
        ("ProcMount", "", None),
        ("SeccompProfile", "SeccompProfile", None),
        ("AppArmorProfile", "SeccompProfile", None),
    ),
    "Capabilities": (("Add", "", None), ("Drop", "", None)),
    "SELinuxOptions": (("User", "", ""), ("Role", "", ""), ("Type", "", ""), ("Level", "", "")),
    "WindowsOptions": (
        ("GMSACredentialSpecName", "", None),
        ("GMSACredentialSpec", "", None),
        ("RunAsUserName", "", None),
        ("HostProcess", "", None),
    ),
    "SeccompProfile": (("Type", "", ""), ("LocalhostProfile", "", None)),
    "NodeAddress": (("Type", "", ""), ("Address", "", "")),
    "PodIP": (("IP", "", ""),),
    "Taint": (("Key", "", ""), ("Value", "", ""), ("Effect", "", ""), ("TimeAdded", "", None)),
    "ServicePortKey": (
        ("Name", "", ""),
        ("Protocol", "", ""),
        ("AppProtocol", "", None),
        ("Port", "", 0),
        ("TargetPort", "", 0),
        ("NodePort", "", 0),
    ),
}
"""For each struct its fields in order: name, the struct that it holds ("" for none), its zero value."""


def as_go(name: str, found: Any) -> Any:
    """A part with the names of the Go struct `name`, zero values included."""
    if not isinstance(found, Mapping):
        return found
    written = {}
    for field, struct, zero in GO_TYPES[name]:
        entry = found.get(_json_name(field), zero)
        written[field] = as_go(struct, entry) if struct else entry
    return written


def _json_name(field: str) -> str:
    """The JSON name of a Go field: `SELinuxOptions` is `seLinuxOptions`."""
    capitals = {"SELinuxOptions": "seLinuxOptions", "GMSACredentialSpec": "gmsaCredentialSpec"}
    capitals |= {"GMSACredentialSpecName": "gmsaCredentialSpecName", "IP": "ip"}
    return capitals.get(field) or camel_case(field[0].lower() + field[1:])
