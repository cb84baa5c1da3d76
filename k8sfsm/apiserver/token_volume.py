"""The volume with the token of a Pod's ServiceAccount, and its mounts.

Source: plugin/pkg/admission/serviceaccount/admission.go: mountServiceAccountToken.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from k8sfsm.apiserver.names import Chance
from k8sfsm.apiserver.options import Options
from k8sfsm.law import constant
from k8sfsm.objects import PodSpec, evolve

MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


def with_token(spec: PodSpec, namespace: str, options: Options, chance: Chance) -> PodSpec:
    """The spec with a token volume, mounted in every container that mounts nothing in its place."""
    if all(map(_mounts_token, (*spec.init_containers, *spec.containers))):
        return spec
    name = "kube-api-access-" + chance.suffix("Volume", namespace, "kube-api-access-")
    mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
    return evolve(
        spec,
        volumes=(*spec.volumes, {"name": name, "projected": _token_source(options)}),
        init_containers=tuple(_with_mount(container, mount) for container in spec.init_containers),
        containers=tuple(_with_mount(container, mount) for container in spec.containers),
    )


def _mounts_token(container: Any) -> bool:
    return any(mount.get("mountPath") == MOUNT_PATH for mount in container.volume_mounts)


def _with_mount(container: Any, mount: dict[str, Any]) -> Any:
    if _mounts_token(container):
        return container
    return evolve(container, volume_mounts=(*container.volume_mounts, mount))


@lru_cache(maxsize=64)
def _token_source(options: Options) -> dict[str, Any]:
    """Source: plugin/pkg/admission/serviceaccount/admission.go: TokenVolumeSource."""
    extra = [
        {"configMap": {"name": name, "items": [{"key": key, "path": key}]}} for name, key in options.extra_root_bundles
    ]
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": constant("service_account_token_seconds"), "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
            *extra,
        ],
        "defaultMode": 0o644,
    }
