"""The API server: the one way to write."""

from k8sfsm.apiserver.answer import Answer, Refusal, Sender
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.server import ApiServer

__all__ = ["Answer", "ApiServer", "Options", "Refusal", "Sender"]
