"""Objects of a history that are none: told with their place."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.trace.errors import Line, TraceError
from k8sfsm.trace.skeleton import refuse_misshapen, refuse_slowly
from k8sfsm.trace.timestamps import parse_time

PLACE = Line("watch.jsonl", 3)
CASES = [
    ({"metadata": []}, "metadata: expected an object, found a list"),
    ({"metadata": {"labels": "x"}}, "metadata.labels: expected an object, found a string 'x'"),
    ({"metadata": {"ownerReferences": [None]}}, "metadata.ownerReferences[0]: expected an item, found null"),
    ({"metadata": {"creationTimestamp": "1Ei"}}, "metadata.creationTimestamp: expected an RFC 3339 time"),
    ({"metadata": {"deletionGracePeriodSeconds": True}}, "deletionGracePeriodSeconds: expected a whole number"),
    ({"metadata": {"deletionGracePeriodSeconds": 2**70}}, "deletionGracePeriodSeconds: expected a whole number"),
    ({"status": {"conditions": ["Ready"]}}, "status.conditions[0]: expected an object, found a string"),
    ({"status": {"conditions": {}}}, "status.conditions: expected a list, found an object"),
    ({"status": {"containerStatuses": [{"state": {"running": 1}}]}}, "containerStatuses[0].state.running: expected an"),
    ({"involvedObject": "x"}, "involvedObject: expected an object"),
    ({"spec": {"template": {"spec": {"containers": [1]}}}}, "spec.template.spec.containers[0]: expected an object"),
]


@pytest.mark.parametrize(("obj", "text"), CASES)
def test_a_wrong_type_is_told_with_its_place(obj: dict[str, Any], text: str) -> None:
    with pytest.raises(TraceError) as error:
        refuse_misshapen(PLACE, obj, "object")
    assert str(error.value).startswith("watch.jsonl:3: object.") and text in str(error.value)


@pytest.mark.parametrize(("obj", "text"), CASES)
def test_the_fast_way_refuses_what_the_plain_way_refuses(obj: dict[str, Any], text: str) -> None:
    with pytest.raises(TraceError) as error:
        refuse_slowly(PLACE, obj, "object")
    assert text in str(error.value)


@pytest.mark.parametrize(
    "time", ["2026-01-15T12:00:00+0530", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-01-15T12:00:00"]
)
def test_rare_forms_of_times_are_refused_either_way(time: str) -> None:
    for refuse in (refuse_misshapen, refuse_slowly):
        with pytest.raises(TraceError):
            refuse(PLACE, {"eventTime": time})


def test_what_is_absent_or_null_is_no_mistake() -> None:
    refuse_misshapen(PLACE, {"metadata": None, "spec": {"containers": None}, "status": {}})
    refuse_misshapen(PLACE, {"metadata": {"deletionGracePeriodSeconds": 30, "creationTimestamp": ""}})


def test_times_out_of_range() -> None:
    for text in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-01T00:00:00Z"):
        with pytest.raises(ValueError):
            parse_time(text)
