"""Kinds that people define: CustomResourceDefinitions, and the objects of their kinds."""

from k8sfsm.apiserver.custom.definitions import CRD, definition_of, served_kind
from k8sfsm.apiserver.custom.writes import customised, refuse_custom

__all__ = ["CRD", "customised", "definition_of", "refuse_custom", "served_kind"]
