"""Pods of one template: what tells them apart is what a kubelet would act upon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from k8sfsm.node.template import Template
from k8sfsm.objects import Pod, from_json

TOKEN = "kube-api-access-"


def pod(token: str = "aaaaa", at: str = "2026-01-01T00:00:00Z", **other: Any) -> Pod:
    """A pod with a token volume of its own. `other`: parts of the spec."""
    mounts = [{"name": TOKEN + token, "mountPath": "/token"}, {"name": "data", "mountPath": "/data"}]
    container = {"name": "app", "image": "web:1", "volumeMounts": mounts, **other.pop("container", {})}
    volumes = [{"name": TOKEN + token, "projected": {"defaultMode": 420}}, {"name": "data", "emptyDir": {}}]
    condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at, **other.pop("condition", {})}
    status = {"phase": "Pending", "conditions": [condition], **other.pop("status", {})}
    meta: Mapping[str, Any] = {"name": f"web-{token}", "uid": f"uid-{token}", **other.pop("metadata", {})}
    spec = {"nodeName": f"node-{token}", "containers": [container], "volumes": volumes, **other}
    made: Pod = from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status})
    return made


def stamps(template: Template, of: Pod, token: str = "bbbbb") -> tuple[int, ...] | None:
    return template.stamps_of(of, of.spec.containers, TOKEN + token)


def template_of(first: Pod) -> Template:
    return Template(first, first.spec.containers, TOKEN + "aaaaa")


def test_names_nodes_tokens_and_moments_tell_no_pods_apart() -> None:
    template = template_of(pod())
    assert template.stamps == (1_767_225_600_000_000_000,)
    assert stamps(template, pod("bbbbb", "2026-01-01T00:00:09Z")) == (1_767_225_609_000_000_000,)
    assert stamps(template, pod("ccccc"), "ccccc") == (1_767_225_600_000_000_000,), "compared with the latest one"


@pytest.mark.parametrize(
    "other",
    [
        {"hostNetwork": True},
        {"restartPolicy": "Never"},
        {"container": {"image": "web:2"}},
        {"container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}},
        {"container": {"volumeMounts": [{"name": TOKEN + "bbbbb", "mountPath": "/other"}, {"name": "data"}]}},
        {"volumes": []},
        {"volumes": [{"name": TOKEN + "bbbbb", "projected": {}}, {"name": "data", "emptyDir": {}}]},
        {"volumes": [{"name": TOKEN + "bbbbb", "projected": {"defaultMode": 420}}, {"name": "more", "emptyDir": {}}]},
        {"volumes": [{"name": TOKEN + "aaaaa", "projected": {"defaultMode": 420}}, {"name": "data", "emptyDir": {}}]},
        {"containers": []},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}},
        {"status": {"phase": "Running"}},
        {"status": {"conditions": []}},
        {"condition": {"status": "False"}},
        {"condition": {"lastTransitionTime": None}},
        {"condition": {"lastProbeTime": "2026-01-01T00:00:00Z"}},
    ],
)
def test_all_else_does(other: dict[str, Any]) -> None:
    assert stamps(template_of(pod()), pod("bbbbb", **other)) is None


def test_labels_do_not() -> None:
    assert stamps(template_of(pod()), pod("bbbbb", metadata={"labels": {"a": "b"}})) is not None
