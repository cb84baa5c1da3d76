"""Settings of the API server that a cluster may choose."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Options:
    """`extra_root_bundles`: (ConfigMap, key) pairs that a distribution adds to the service account's volume.

    `service_cidr`: where cluster IPs come from; with two ranges, of both IP families, written with a comma between
    them, the cluster has two stacks. `node_ports`: the first node port, and how many there are.
    `managed_fields`: the owners of fields are noted for all objects, not only for those that somebody applies.
    `rbac`: whether people need roles too; the components of the cluster always do.
    `admission`: whether admission plugins run (a replay of a cluster without them, and unit tests, turn them off).
    `quota`: whether ResourceQuota is among them; who judges single requests of a history, in which what quotas count
    is written by requests of its own, does without.
    `exempt_namespaces`, `exempt_users`, `exempt_runtime_classes`: whose pods Pod Security does not judge.
    """

    extra_root_bundles: tuple[tuple[str, str], ...] = ()
    service_cidr: str = "10.96.0.0/16"
    node_ports: tuple[int, int] = (30000, 2768)
    rbac: bool = False
    managed_fields: bool = False
    admission: bool = True
    quota: bool = True
    exempt_namespaces: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    exempt_runtime_classes: tuple[str, ...] = ()
