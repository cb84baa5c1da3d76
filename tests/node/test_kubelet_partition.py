"""What a kubelet could not tell the API server it tells later: statuses, ends, and that a Pod is gone."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.testing import Cluster


def pod(image: str = "sim/web:1", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "app", "image": image}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": containers, **spec}}


def parted(cluster: Cluster, after: str, length: str = "20s") -> None:
    cluster.advance(after)
    cluster.partition("kubelet/node-1", length)


@pytest.mark.parametrize("after", ["25ms", "60ms", "700ms"])
def test_a_start_in_a_partition_is_told_after_it(after: str) -> None:
    cluster = Cluster(nodes=1)
    cluster.apply(pod())
    parted(cluster, after)
    cluster.advance("19s")
    assert not cluster.holds("pod/a STATUS is Running")
    cluster.eventually("pod/a READY is 1/1", within="30s")
    cluster.settle()


def test_an_end_in_a_partition_is_told_after_it() -> None:
    cluster = Cluster(nodes=1)
    cluster.apply(pod("sim/exit0-after-5s:1", restartPolicy="Never"))
    parted(cluster, "3s")
    cluster.eventually("pod/a STATUS is Completed", within="60s")


def test_a_deletion_in_a_partition_is_done_after_it() -> None:
    cluster = Cluster(nodes=1)
    cluster.apply(pod(terminationGracePeriodSeconds=1))
    cluster.advance("10s")
    cluster.user.delete("pod/a")
    parted(cluster, "100ms")
    cluster.eventually("pod/a is gone", within="60s")


@pytest.mark.parametrize("milliseconds", range(1200, 1800, 40))
def test_a_write_of_the_end_that_gets_no_answer_is_made_again(milliseconds: int) -> None:
    cluster = Cluster(nodes=1)
    cluster.apply(pod(terminationGracePeriodSeconds=1))
    cluster.advance("10s")
    cluster.user.delete("pod/a")
    parted(cluster, f"{milliseconds}ms", "5s")
    cluster.eventually("pod/a is gone", within="60s")
    cluster.settle()
