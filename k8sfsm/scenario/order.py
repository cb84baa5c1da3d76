"""What commands of kubectl come to, and how they name objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from k8sfsm.objects import KINDS
from k8sfsm.request import Key, Write
from k8sfsm.spec.mistakes import did_you_mean
from k8sfsm.store import Store

DEFAULT_NAMESPACE: Final = "default"
SHORT: Final[Mapping[str, str]] = {
    "po": "Pod",
    "rs": "ReplicaSet",
    "deploy": "Deployment",
    "svc": "Service",
    "ep": "Endpoints",
    "no": "Node",
    "ns": "Namespace",
    "sa": "ServiceAccount",
    "rc": "ReplicationController",
    "ev": "Event",
    "sts": "StatefulSet",
    "ds": "DaemonSet",
    "cm": "ConfigMap",
    "pvc": "PersistentVolumeClaim",
    "pv": "PersistentVolume",
    "pdb": "PodDisruptionBudget",
    "pc": "PriorityClass",
    "hpa": "HorizontalPodAutoscaler",
    "quota": "ResourceQuota",
    "limits": "LimitRange",
    "ing": "Ingress",
    "cj": "CronJob",
}
"""Short names of kinds. Source: pkg/registry: ShortNames of the storages."""
_BY_WORD: Final = {
    **{kind.lower(): kind for kind in KINDS},
    **{known.resource: kind for kind, known in KINDS.items()},
    **SHORT,
}


class Refused(Exception):
    """kubectl itself refuses a command, before or instead of sending a request. Its text is what kubectl says."""


@frozen(kw_only=True)
class Order:
    """Requests one after the other, and what kubectl prints when all went well; without writes nothing is sent."""

    writes: tuple[Write, ...] = ()
    says: str = ""


def sent(request: str, *writes: Write) -> tuple[Write, ...]:
    """What a rule's output `request` (patch, nothing) makes of the writes that a command has worked out."""
    return {"patch": writes, "nothing": ()}[request]


def kind_called(word: str) -> str:
    """The kind that a user calls `deploy`, `deployments` or `Deployment`. Raises Refused with the nearest name."""
    kind = _BY_WORD.get(word.lower().partition(".")[0])
    if kind is None:
        raise Refused(f'the server doesn\'t have a resource type "{word}", {did_you_mean(word.lower(), _BY_WORD)}')
    return kind


def key_called(text: str, namespace: str = "") -> Key:
    """The key of `deployment/web`, in `namespace` ("default" where it is empty). Raises Refused."""
    word, slash, name = text.partition("/")
    if not slash or not name or "/" in name:
        raise Refused(f"'{text}' names no object, expected KIND/NAME such as deployment/web")
    kind = kind_called(word)
    return (kind, (namespace or DEFAULT_NAMESPACE) if KINDS[kind].namespaced else "", name)


def resource_of(kind: str) -> str:
    """`deployments.apps`, `pods`: a kind in the server's errors."""
    known = KINDS.get(kind)
    if known is None:
        return f"{kind.lower()}s"
    return f"{known.resource}.{known.group}" if known.group else known.resource


def called(key: Key) -> str:
    """`deployment.apps/web`, `pod/a`: an object in kubectl's answers."""
    return f"{_singular(key[0])}/{key[2]}"


def quoted(key: Key) -> str:
    """`deployment.apps "web"`: an object in the answer to a deletion."""
    return f'{_singular(key[0])} "{key[2]}"'


def _singular(kind: str) -> str:
    known = KINDS.get(kind)
    return f"{kind.lower()}.{known.group}" if known is not None and known.group else kind.lower()


def found(store: Store, key: Key) -> Any:
    """The object. Raises Refused where it is not there."""
    obj = store.get(*key)
    if obj is None:
        raise Refused(f'Error from server (NotFound): {resource_of(key[0])} "{key[2]}" not found')
    return obj
