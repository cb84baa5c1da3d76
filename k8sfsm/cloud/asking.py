"""Calls of controllers to the cloud: asking, waiting, and what came of it.

A controller asks about one thing at a time per key. What it has asked it remembers; the answer lies in the cloud's
state. A controller that forgets (a restart) asks again, as real ones do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from k8sfsm.cloud.state import CLOUD, Reply, State, outage, things
from k8sfsm.request import Call, Key, Remember, Step
from k8sfsm.value import value
from k8sfsm.view import View

Standing: TypeAlias = Literal["none", "pending", "done", "failed"]


@value
class Asked:
    """A call under way: its verb and arguments, and when it was made (ns)."""

    verb: str
    arguments: Any
    at: int


@value
class Line:
    """The line of one controller to the cloud about one key."""

    view: View
    actor: str
    key: Key

    @property
    def state(self) -> State:
        """The cloud."""
        return self.view.runtime

    @property
    def asked(self) -> Asked | None:
        """The call that is under way, or whose answer was not dealt with yet."""
        found: Asked | None = self.view.memory.get(("asked", self.key))
        return found

    @property
    def reply(self) -> Reply | None:
        """The answer to that call, where it has come."""
        asked, reply = self.asked, self.state.get(("reply", (self.actor, self.key)))
        return reply if asked is not None and reply is not None and reply.asked == asked.at else None

    @property
    def standing(self) -> Standing:
        """How far the call is."""
        if self.asked is None:
            return "none"
        return "pending" if self.reply is None else "done" if self.reply.ok else "failed"

    def ask(self, verb: str, **arguments: Any) -> Iterator[Step]:
        """Make a call."""
        yield Remember(key=("asked", self.key), value=Asked(verb, arguments, self.view.now))
        given = {"asked": self.view.now, "given": arguments}
        yield Call(node=CLOUD, verb=verb, pod=self.key, uid=self.actor, arguments=given)

    def hang_up(self) -> Step:
        """The answer was dealt with."""
        return Remember(key=("asked", self.key), value=None)


def all_of(view: View, kind: str) -> tuple[Any, ...]:
    """All things of a kind in the cloud, by name."""
    return tuple(things(view.runtime, kind))


def trouble(view: View, topic: str) -> str:
    """Why the cloud does not answer questions about a topic now; "" where it does."""
    return outage(view.runtime, topic, view.now)
