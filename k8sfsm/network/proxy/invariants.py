"""What holds of the rules on nodes."""

from __future__ import annotations

from collections.abc import Iterator

from k8sfsm.network.proxy.question import dangling
from k8sfsm.network.proxy.rules import law
from k8sfsm.view import View


@law.invariant
def chains_exist(view: View) -> Iterator[str]:
    """Each chain, set or backend that a rule of any node refers to exists."""
    return dangling(view)
