"""The pytest plugin: the fixture `cluster`, and what happened in it where a test fails.

`@pytest.mark.cluster(nodes=3, seed=7)` says which cluster a test gets; the arguments are those of `Cluster`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from k8sfsm.testing.cluster import Cluster

_FIXTURE = "cluster"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "cluster(nodes=2, seed=0, strict=True): the cluster that the test gets")


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A new cluster in virtual time; its invariants are checked at every step and once more at the end."""
    from k8sfsm.testing.cluster import Cluster  # here, for pytest imports plugins whether they are used or not

    marker = request.node.get_closest_marker("cluster")
    found = Cluster(*marker.args, **marker.kwargs) if marker is not None else Cluster()
    yield found
    if found.strict:
        found.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Add the story of the cluster to the report of a test that failed."""
    report = yield
    found = getattr(item, "funcargs", {}).get(_FIXTURE)
    if report.failed and found is not None and hasattr(found, "story"):
        report.sections.append(("k8sfsm: what happened in the cluster", found.story()))
    return report
