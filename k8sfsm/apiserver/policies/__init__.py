"""ValidatingAdmissionPolicies: rules of people about what may be written, in CEL."""

from k8sfsm.apiserver.policies.admission import Police

__all__ = ["Police"]
