"""k8sfsm: the executable reference specification of Kubernetes.

    import k8sfsm

    user = k8sfsm.start(manifests, nodes=2)                   # a cluster, and a user with kubectl on it
    user.await_that("deployment/web status.readyReplicas is 3")
    print(user.get("pods"))

What is exported here is the public interface; `docs/python-api.md` explains it. Names are imported when they are
first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k8sfsm.engine.engine import Engine
    from k8sfsm.law import Law
    from k8sfsm.machine import Machines
    from k8sfsm.objects import from_json, load_yaml, to_json, to_yaml
    from k8sfsm.printer import printed
    from k8sfsm.scenario.loading import load_story, read_story
    from k8sfsm.scenario.model import Story
    from k8sfsm.scenario.play import Play, play
    from k8sfsm.scenario.starting import start
    from k8sfsm.scenario.user import User
    from k8sfsm.view import View

__version__ = "0.1.0"

__all__ = [
    "Engine",
    "Law",
    "Machines",
    "Play",
    "Story",
    "User",
    "View",
    "__version__",
    "from_json",
    "load_story",
    "load_yaml",
    "play",
    "printed",
    "read_story",
    "start",
    "to_json",
    "to_yaml",
]

_HOMES = {
    "Engine": "k8sfsm.engine.engine",
    "Law": "k8sfsm.law",
    "Machines": "k8sfsm.machine",
    "Play": "k8sfsm.scenario.play",
    "Story": "k8sfsm.scenario.model",
    "User": "k8sfsm.scenario.user",
    "View": "k8sfsm.view",
    "from_json": "k8sfsm.objects",
    "load_story": "k8sfsm.scenario.loading",
    "load_yaml": "k8sfsm.objects",
    "play": "k8sfsm.scenario.play",
    "printed": "k8sfsm.printer",
    "read_story": "k8sfsm.scenario.loading",
    "start": "k8sfsm.scenario.starting",
    "to_json": "k8sfsm.objects",
    "to_yaml": "k8sfsm.objects",
}


def __getattr__(name: str) -> Any:
    """A public name, imported now."""
    if name not in _HOMES:
        raise AttributeError(f"module 'k8sfsm' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
