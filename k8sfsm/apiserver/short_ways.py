"""The short ways of what components write by the thousand, and what is hardly ever refused: pods that are like others,
reports and bindings.

What a request comes to that is let in, of which nobody looks at the object, in which nothing is found at a glance and
whose transition is legal, is known without asking anybody else. Where anything is to be said, or is not sure, this says
nothing, and the request goes the way of all others (`ApiServer.handle`). Nothing is refused here, but a pod for which
chance has found no name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from k8sfsm.apiserver.answer import Answer, Refusal, Sender
from k8sfsm.apiserver.apply import is_tracked
from k8sfsm.apiserver.binding import bound
from k8sfsm.apiserver.names import Chance
from k8sfsm.apiserver.validation import surely_valid_report
from k8sfsm.objects import changer_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Bind, Create, Outcome, PatchStatus
from k8sfsm.store import Store

if TYPE_CHECKING:
    from k8sfsm.apiserver.server import ApiServer

ShortWay: TypeAlias = Callable[["ApiServer", Store, Any, Sender, int, Chance], Answer | None]
"""Server, store, write, sender, now (ns), chance -> the answer; None where somebody has to look at the write."""
_answered: Final = changer_of(Answer, "store", "outcome.request", "outcome.code", "outcome.object", "changes", "moves")
_ANSWER: Final = Answer(Store(), Outcome(request=Bind(key=("", "", ""), uid="", node=""), code=0))


def _created(server: ApiServer, store: Store, write: Create, sender: Sender, now: int, chance: Chance) -> Answer | None:
    """The answer to a new pod."""
    new = write.object
    if write.dry_run or not server.is_like_others(new) or not server.gate.knows(sender, write):
        return None
    likeness = server.creations.trusted(store, new, sender)
    if likeness is None:
        return None
    try:
        made = likeness.cast(store, new, now - now % SECOND, chance)
    except Refusal as refusal:
        outcome = Outcome(request=write, code=refusal.code, reason=refusal.reason, message=refusal.message)
        return Answer(store, outcome)
    store, change = store.add(("Pod", made.metadata.namespace, made.metadata.name), made, now)
    return _answered(_ANSWER, store, write, 201, made, (change,), likeness.moves)


def _reported(
    server: ApiServer, store: Store, write: PatchStatus, sender: Sender, now: int, chance: Chance
) -> Answer | None:
    """The answer to a status."""
    found = store.snapshot.objects.get(write.key)
    if found is None or write.dry_run or server.options.managed_fields:
        return None
    old = found[1]
    status = write.status
    if (write.uid and write.uid != old.metadata.uid) or is_tracked(old) or status == old.status:
        return None
    # `with_report` and `next_version`, written out
    new = _reporter(old.__class__)(old, str(store.snapshot.revision + 1), status)
    if not server.gate.is_open(sender, write, old) or not surely_valid_report(old, new):
        return None
    return _stored(server, store, write, sender, now, old, new, 200)


def _bound(server: ApiServer, store: Store, write: Bind, sender: Sender, now: int, chance: Chance) -> Answer | None:
    """The answer to a binding."""
    found = store.snapshot.objects.get(write.key)
    if found is None or write.dry_run or not server.gate.knows(sender, write):
        return None
    old = found[1]
    if (write.uid and write.uid != old.metadata.uid) or is_tracked(old):
        return None
    node = store.get("Node", "", write.node)
    try:
        new = bound(old, write.node, node, now - now % SECOND, store.next_version)
    except Refusal:
        return None
    return _stored(server, store, write, sender, now, old, new, 201)


def _stored(
    server: ApiServer, store: Store, write: Any, sender: Sender, now: int, old: Any, new: Any, code: int
) -> Answer | None:
    """The answer where the transition is legal."""
    verdict = server.machines.check(old, new, sender.actor, now)
    if verdict.illegal:
        return None
    store, change = store.replace(write.key, new, now)
    return _answered(_ANSWER, store, write, code, new, (change,), verdict.moves)


SHORT_WAYS: Final[Mapping[type[Any], ShortWay]] = {Create: _created, PatchStatus: _reported, Bind: _bound}


def with_report(old: Any, status: Any, version: str) -> Any:
    """An object with another status. `version`: the resourceVersion that it gets."""
    return _reporter(old.__class__)(old, version, status)


@lru_cache(maxsize=256)
def _reporter(cls: type[Any]) -> Callable[[Any, Any, Any], Any]:
    """What puts another resourceVersion and another status into objects of a class."""
    return changer_of(cls, "metadata.resource_version", "status")
