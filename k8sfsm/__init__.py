"""k8sfsm: the executable reference specification of Kubernetes."""

__version__ = "0.1.0"
