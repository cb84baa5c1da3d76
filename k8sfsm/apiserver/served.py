"""Which kinds, versions and parts of objects the API server serves."""

from __future__ import annotations

from typing import Any

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.strategy import StrategyCase
from k8sfsm.objects import KINDS, kind_named


def refuse_unserved(obj: Any, subresource: str = "") -> None:
    """404 for a version of a kind that is not served, and for a subresource that the kind does not have.

    Source: staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go: NewGenericServerResponse.
    """
    known = KINDS.get(obj.kind)
    other = known is not None and known.type is not None and kind_named(obj.api_version, obj.kind) is None
    if other or not law.decide("subresources", StrategyCase(obj.kind, subresource)).outputs["served"]:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
