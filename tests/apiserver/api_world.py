"""An API server with a store, and objects to send to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sfsm.apiserver import ApiServer, Options, Sender
from k8sfsm.engine.choices import Seeded
from k8sfsm.machine import Machines
from k8sfsm.objects import from_json
from k8sfsm.request import Create, Outcome, Write
from k8sfsm.store import Change, Store

NOW = 1_700_000_000_500_000_000
MACHINES = Machines.load()


class World:
    """Sends requests one after the other. `changes`: what the last request changed."""

    def __init__(self, options: Options | None = None, *, bare: bool = False) -> None:
        self.api = ApiServer(MACHINES, options)
        self.store = Store.starting_at(0)
        self.chance: Any = Seeded(1)
        self.now = NOW
        self.changes: tuple[Change, ...] = ()
        if not bare:
            self.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
            self.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "a"}})

    def send(self, write: Write, actor: str = "user") -> Outcome:
        """Send a request; returns the answer."""
        answer = self.api.handle(self.store, write, Sender(actor), self.now, self.chance)
        self.store, self.changes = answer.store, answer.changes
        return answer.outcome

    def done(self, write: Write, actor: str = "user") -> Any:
        """Send a request that must succeed; returns the object."""
        outcome = self.send(write, actor)
        assert outcome.ok, outcome.message
        return outcome.object

    def make(self, manifest: Mapping[str, Any], actor: str = "user") -> Any:
        """Create an object from a manifest."""
        return self.done(Create(object=from_json(manifest)), actor)

    def refused(self, write: Write, actor: str = "user") -> tuple[int, str, str]:
        """Send a request that must be refused and change nothing; returns code, reason, message."""
        before = self.store
        outcome = self.send(write, actor)
        assert not outcome.ok and self.store is before and self.changes == ()
        return outcome.code, outcome.reason, outcome.message

    def get(self, kind: str, name: str, namespace: str = "a") -> Any:
        """The stored object, or None."""
        return self.store.get(kind, namespace, name)


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    """A Pod's manifest."""
    meta = {"name": name, "namespace": "a"} if name else {"generateName": "p-", "namespace": "a"}
    fields = {"containers": [{"name": "app", "image": "nginx:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": fields}


def service(name: str = "s", **spec: Any) -> dict[str, Any]:
    """A Service's manifest."""
    fields = {"ports": [{"port": 80}], "selector": {"app": "web"}, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "a"}, "spec": fields}


def workload(kind: str = "Deployment", name: str = "d", **spec: Any) -> dict[str, Any]:
    """The manifest of a Deployment or ReplicaSet."""
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "nginx:1"}]},
    }
    fields = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "a"}, "spec": fields}


def config_map(name: str = "c", **meta: Any) -> dict[str, Any]:
    """A ConfigMap's manifest: a kind that nothing is known of but its name."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a", **meta}}


def dig(value: Any, path: str) -> Any:
    """A member of a JSON document by a path of names and numbers; None where there is none."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = (value or {}).get(part)
    return value
