"""The kinds of objects: their classes, their names in URLs, their API groups."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from k8sfsm.objects.base import Struct
from k8sfsm.objects.core import Binding, Event, Eviction, Lease, Namespace, ServiceAccount
from k8sfsm.objects.node import Node
from k8sfsm.objects.pod import Pod
from k8sfsm.objects.policy import PodDisruptionBudget
from k8sfsm.objects.quota import ResourceQuota
from k8sfsm.objects.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from k8sfsm.objects.service import Endpoints, EndpointSlice, Service
from k8sfsm.objects.workload import Deployment, ReplicaSet, ReplicationController


@frozen
class Kind:
    """A kind. `resource`: its plural name in URLs and audit logs; `type`: its class, None when unmodelled."""

    kind: str
    resource: str
    group: str
    version: str
    namespaced: bool
    type: type[Struct] | None = None

    @property
    def api_version(self) -> str:
        """`v1`, or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version


_MODELLED: Final = (
    Kind("Pod", "pods", "", "v1", True, Pod),
    Kind("ReplicaSet", "replicasets", "apps", "v1", True, ReplicaSet),
    Kind("Deployment", "deployments", "apps", "v1", True, Deployment),
    Kind("Service", "services", "", "v1", True, Service),
    Kind("Endpoints", "endpoints", "", "v1", True, Endpoints),
    Kind("EndpointSlice", "endpointslices", "discovery.k8s.io", "v1", True, EndpointSlice),
    Kind("Node", "nodes", "", "v1", False, Node),
    Kind("Namespace", "namespaces", "", "v1", False, Namespace),
    Kind("ServiceAccount", "serviceaccounts", "", "v1", True, ServiceAccount),
    Kind("ReplicationController", "replicationcontrollers", "", "v1", True, ReplicationController),
    Kind("Event", "events", "", "v1", True, Event),
    Kind("Lease", "leases", "coordination.k8s.io", "v1", True, Lease),
    Kind("Binding", "bindings", "", "v1", True, Binding),
    Kind("Eviction", "evictions", "policy", "v1", True, Eviction),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy", "v1", True, PodDisruptionBudget),
    Kind("ResourceQuota", "resourcequotas", "", "v1", True, ResourceQuota),
    Kind("Role", "roles", "rbac.authorization.k8s.io", "v1", True, Role),
    Kind("RoleBinding", "rolebindings", "rbac.authorization.k8s.io", "v1", True, RoleBinding),
    Kind("ClusterRole", "clusterroles", "rbac.authorization.k8s.io", "v1", False, ClusterRole),
    Kind("ClusterRoleBinding", "clusterrolebindings", "rbac.authorization.k8s.io", "v1", False, ClusterRoleBinding),
)
_UNMODELLED: Final = (
    Kind("StatefulSet", "statefulsets", "apps", "v1", True),
    Kind("DaemonSet", "daemonsets", "apps", "v1", True),
    Kind("ControllerRevision", "controllerrevisions", "apps", "v1", True),
    Kind("Job", "jobs", "batch", "v1", True),
    Kind("CronJob", "cronjobs", "batch", "v1", True),
    Kind("ConfigMap", "configmaps", "", "v1", True),
    Kind("Secret", "secrets", "", "v1", True),
    Kind("PodTemplate", "podtemplates", "", "v1", True),
    Kind("LimitRange", "limitranges", "", "v1", True),
    Kind("PersistentVolumeClaim", "persistentvolumeclaims", "", "v1", True),
    Kind("PersistentVolume", "persistentvolumes", "", "v1", False),
    Kind("ComponentStatus", "componentstatuses", "", "v1", False),
    Kind("PriorityClass", "priorityclasses", "scheduling.k8s.io", "v1", False),
    Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2", True),
    Kind("Scale", "scales", "autoscaling", "v1", True),
    Kind("Ingress", "ingresses", "networking.k8s.io", "v1", True),
    Kind("IngressClass", "ingressclasses", "networking.k8s.io", "v1", False),
    Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io", "v1", True),
    Kind("IPAddress", "ipaddresses", "networking.k8s.io", "v1", False),
    Kind("ServiceCIDR", "servicecidrs", "networking.k8s.io", "v1", False),
    Kind("RuntimeClass", "runtimeclasses", "node.k8s.io", "v1", False),
    Kind("StorageClass", "storageclasses", "storage.k8s.io", "v1", False),
    Kind("VolumeAttachment", "volumeattachments", "storage.k8s.io", "v1", False),
    Kind("CSIDriver", "csidrivers", "storage.k8s.io", "v1", False),
    Kind("CSINode", "csinodes", "storage.k8s.io", "v1", False),
    Kind("CSIStorageCapacity", "csistoragecapacities", "storage.k8s.io", "v1", True),
    Kind("CustomResourceDefinition", "customresourcedefinitions", "apiextensions.k8s.io", "v1", False),
    Kind("APIService", "apiservices", "apiregistration.k8s.io", "v1", False),
    Kind(
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "admissionregistration.k8s.io",
        "v1",
        False,
    ),
    Kind(
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "admissionregistration.k8s.io",
        "v1",
        False,
    ),
    Kind(
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        "admissionregistration.k8s.io",
        "v1",
        False,
    ),
    Kind(
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        "admissionregistration.k8s.io",
        "v1",
        False,
    ),
    Kind("FlowSchema", "flowschemas", "flowcontrol.apiserver.k8s.io", "v1", False),
    Kind(
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        "flowcontrol.apiserver.k8s.io",
        "v1",
        False,
    ),
    Kind("CertificateSigningRequest", "certificatesigningrequests", "certificates.k8s.io", "v1", False),
    Kind("ResourceClaim", "resourceclaims", "resource.k8s.io", "v1", True),
    Kind("ResourceClaimTemplate", "resourceclaimtemplates", "resource.k8s.io", "v1", True),
    Kind("ResourceSlice", "resourceslices", "resource.k8s.io", "v1", False),
    Kind("DeviceClass", "deviceclasses", "resource.k8s.io", "v1", False),
)
_NEW_EVENT: Final = Kind("Event", "events", "events.k8s.io", "v1", True)
"""The same stored objects as core Events, in another notation."""

KINDS: Final = {kind.kind: kind for kind in _MODELLED + _UNMODELLED}
"""Kind by name. Where two groups have a kind of one name (Event), the core one."""
_BY_TYPE: Final = {(kind.api_version, kind.kind): kind for kind in (*KINDS.values(), _NEW_EVENT)}
_BY_RESOURCE: Final = {(kind.group, kind.resource): kind for kind in (*KINDS.values(), _NEW_EVENT)}
_CORE_FIRST: Final = {kind.resource: kind for kind in KINDS.values()}


def kind_named(api_version: str, kind: str) -> Kind | None:
    """The kind of exactly this apiVersion, or None."""
    return _BY_TYPE.get((api_version, kind))


def kind_of_resource(resource: str, group: str | None = None) -> Kind | None:
    """The kind whose plural is `resource` (`pods`, `statefulsets`); None when unknown. `group` None: any group."""
    if group is None:
        return _CORE_FIRST.get(resource)
    return _BY_RESOURCE.get((group, resource))
