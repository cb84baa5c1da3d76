"""Which kinds, versions and parts of objects the API server serves."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.strategy import StrategyCase
from k8sfsm.objects import KINDS, kind_named
from k8sfsm.table import CompiledTable


def refuse_unserved(obj: Any, subresource: str = "") -> None:
    """404 for a version of a kind that is not served, and for a subresource that the kind does not have.

    Source: staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go: NewGenericServerResponse.
    """
    if not _is_served(law.table("subresources"), obj.kind, obj.api_version, subresource):
        raise Refusal(404, "NotFound", "the server could not find the requested resource")


@lru_cache(maxsize=1024)
def _is_served(table: CompiledTable, kind: str, version: str, subresource: str) -> bool:
    known = KINDS.get(kind)
    if known is not None and known.type is not None and kind_named(version, kind) is None:
        return False
    return bool(table.decide(StrategyCase(kind, subresource)).outputs["served"])
