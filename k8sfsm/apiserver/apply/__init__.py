"""Server-side apply: the owners of fields, and what they want."""

from k8sfsm.apiserver.apply.managers import Applying, applied, is_tracked, manager_of, noted

__all__ = ["Applying", "applied", "is_tracked", "manager_of", "noted"]
