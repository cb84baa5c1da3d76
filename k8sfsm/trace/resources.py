"""What the API calls things: resource names and kinds, and the key of an object in JSON form."""

from __future__ import annotations

from typing import Any, Final

from k8sfsm.request import Key
from k8sfsm.trace.lines import Json

KINDS: Final[dict[str, str]] = {
    "bindings": "Binding",
    "clusterrolebindings": "ClusterRoleBinding",
    "clusterroles": "ClusterRole",
    "configmaps": "ConfigMap",
    "controllerrevisions": "ControllerRevision",
    "cronjobs": "CronJob",
    "csidrivers": "CSIDriver",
    "csinodes": "CSINode",
    "customresourcedefinitions": "CustomResourceDefinition",
    "daemonsets": "DaemonSet",
    "deployments": "Deployment",
    "endpoints": "Endpoints",
    "endpointslices": "EndpointSlice",
    "events": "Event",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "ingresses": "Ingress",
    "jobs": "Job",
    "leases": "Lease",
    "limitranges": "LimitRange",
    "namespaces": "Namespace",
    "networkpolicies": "NetworkPolicy",
    "nodes": "Node",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "poddisruptionbudgets": "PodDisruptionBudget",
    "pods": "Pod",
    "podtemplates": "PodTemplate",
    "priorityclasses": "PriorityClass",
    "replicasets": "ReplicaSet",
    "replicationcontrollers": "ReplicationController",
    "resourcequotas": "ResourceQuota",
    "rolebindings": "RoleBinding",
    "roles": "Role",
    "runtimeclasses": "RuntimeClass",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "services": "Service",
    "statefulsets": "StatefulSet",
    "storageclasses": "StorageClass",
    "volumeattachments": "VolumeAttachment",
}
"""Resource (lower-case plural, as in URLs and audit lines) -> kind."""

VERSIONS: Final[dict[str, str]] = {
    "ControllerRevision": "apps/v1",
    "CronJob": "batch/v1",
    "DaemonSet": "apps/v1",
    "Deployment": "apps/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Job": "batch/v1",
    "Lease": "coordination.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "PriorityClass": "scheduling.k8s.io/v1",
    "ReplicaSet": "apps/v1",
    "RuntimeClass": "node.k8s.io/v1",
    "StatefulSet": "apps/v1",
}
"""apiVersion of the kinds that are not in `v1`."""


def kind_of(resource: str) -> str:
    """The kind of a resource. An unknown one (a custom resource) is named by its resource."""
    return KINDS.get(resource, resource)


def metadata(obj: Json) -> Json:
    """An object's metadata; empty where it has none."""
    found = obj.get("metadata")
    return found if type(found) is dict else {}


def json_key(obj: Json) -> Key:
    """(kind, namespace, name) of an object in JSON form."""
    meta = metadata(obj)
    return (str(obj.get("kind", "")), str(meta.get("namespace") or ""), str(meta.get("name") or ""))


def revision_of(obj: Json | None) -> int | None:
    """The resourceVersion of an object as a number; None where there is none, or it is not a number."""
    text = metadata(obj).get("resourceVersion") if obj else None
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None


def controller_reference(obj: Json | None) -> Json | None:
    """The owner reference with `controller: true`, or None."""
    references: Any = metadata(obj).get("ownerReferences") if obj else None
    for reference in references or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def is_deleting(obj: Json | None) -> bool:
    """Whether deletionTimestamp is set."""
    return obj is not None and bool(metadata(obj).get("deletionTimestamp"))
