"""Kinds that people define: CustomResourceDefinitions, and the objects of their kinds."""

from k8sfsm.apiserver.custom.definitions import CRD, custom_schema, definition_of, served_kind
from k8sfsm.apiserver.custom.writes import refuse_custom, with_defaults

__all__ = ["CRD", "custom_schema", "definition_of", "refuse_custom", "served_kind", "with_defaults"]
