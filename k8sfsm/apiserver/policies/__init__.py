"""ValidatingAdmissionPolicies: rules of people about what may be written, in CEL."""

from k8sfsm.apiserver.policies.admission import POLICIES, judged_by_policies
from k8sfsm.apiserver.policies.matching import AdmissionRequest

__all__ = ["POLICIES", "AdmissionRequest", "judged_by_policies"]
