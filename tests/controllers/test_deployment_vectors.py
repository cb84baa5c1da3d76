"""A sample of what the real functions of Kubernetes gave."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.controllers.deployment.template_hash import dump
from k8sfsm.verify.vectors import targets

DATA = Path(__file__).parent.parent / "data" / "deployment"
TARGETS = (
    "deployment_annotations",
    "deployment_cleanup",
    "deployment_fenceposts",
    "deployment_find_rs",
    "deployment_newrs_replicas",
    "deployment_proportion",
    "deployment_rolling_down",
    "deployment_rollout",
    "deployment_scale",
    "deployment_status",
    "deployment_sync",
    "deployment_template_hash",
    "rollout_status",
)


def lines(name: str) -> Iterator[Any]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


@pytest.mark.parametrize("name", TARGETS)
def test_vectors(name: str) -> None:
    target = targets()[name]
    for number, case in enumerate(lines(name)):
        got = target.adapter(case["in"])
        assert target.compare(case["out"], got), f"{name} {number}: expected {case['out']}, got {got}"


def spec_dump(**spec: Any) -> str:
    return dump({"metadata": {}, "spec": spec})


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (
            {"iscsi": {"targetPortal": "a:1", "iqn": "q", "lun": 2, "chapAuthSession": True}},
            "ISCSI:(*v1.ISCSIVolumeSource){TargetPortal:(string)a:1 IQN:(string)q Lun:(int32)2",
        ),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3607}}]}},
            "Audience:(string) ExpirationSeconds:(*int64)3607 Path:(string)t",
        ),
        (
            {"emptyDir": {"sizeLimit": "1.5Gi"}},
            "SizeLimit:(*resource.Quantity){i:(resource.int64Amount){value:(int64)0",
        ),
        (
            {"image": {"reference": "r"}},
            "Image:(*v1.ImageVolumeSource){Reference:(string)r PullPolicy:(v1.PullPolicy)}",
        ),
    ],
)
def test_volumes_that_no_vector_has(volume: dict[str, Any], text: str) -> None:
    assert text in spec_dump(containers=[], volumes=[{"name": "v", **volume}])


def test_a_large_quantity_is_dumped_as_a_decimal() -> None:
    text = spec_dump(overhead={"cpu": "1.5Gi"})
    assert "Overhead:(v1.ResourceList)map[cpu:{i:" in text
    assert (
        "Dec:(*inf.Dec){unscaled:(big.Int){neg:(bool)false abs:(big.nat)[1610612736000000000]} scale:(inf.Scale)9}"
        in text
    )


def test_times_owners_and_managed_fields_of_a_template() -> None:
    text = dump(
        {
            "metadata": {
                "creationTimestamp": "1970-01-01T00:00:01Z",
                "ownerReferences": [{"kind": "K", "controller": True}],
                "managedFields": [{"manager": "m", "fieldsV1": {"a": {}}}],
            }
        }
    )
    assert (
        "CreationTimestamp:(v1.Time){Time:(time.Time){wall:(uint64)0 ext:(int64)62135596801 loc:(*time.Location){"
        in text
    )
    assert "Controller:(*bool)true BlockOwnerDeletion:(*bool)<nil>" in text
    assert "FieldsV1:(*v1.FieldsV1){Raw:([]uint8)[123 34 97 34 58 123 125 125]}" in text


def test_unknown_fields_do_not_count() -> None:
    assert spec_dump(containers=[], sneeze=1) == spec_dump(containers=[])
