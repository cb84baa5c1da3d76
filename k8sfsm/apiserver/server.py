"""The one write path: admission, defaults, validation, machine check, commit.

Source of the order: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go: create, Update, Delete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from k8sfsm.apiserver.addresses import with_allocations
from k8sfsm.apiserver.admission import admit, refuse_deletion
from k8sfsm.apiserver.admission_review import Review, reviewed
from k8sfsm.apiserver.alike import Creations
from k8sfsm.apiserver.answer import NO_ASIDES, Answer, Refusal, Sender, not_found
from k8sfsm.apiserver.apply import Applying, applied, is_tracked, manager_of, noted
from k8sfsm.apiserver.binding import bound
from k8sfsm.apiserver.custom import custom_schema, refuse_custom, with_defaults
from k8sfsm.apiserver.defaults import reported
from k8sfsm.apiserver.deletion import Deletion, deletion_of, finished, law
from k8sfsm.apiserver.eviction import eviction_case, granted, marked
from k8sfsm.apiserver.names import Chance, generated_name
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.own_rules import own_rules
from k8sfsm.apiserver.patch import patched
from k8sfsm.apiserver.policies import Police
from k8sfsm.apiserver.preconditions import (
    already_exists,
    refuse_invalid,
    refuse_other_state,
    refuse_other_uid,
    refuse_other_version,
    refuse_unconditional,
    resource_text,
    stored,
)
from k8sfsm.apiserver.rbac.gate import Gate
from k8sfsm.apiserver.recorded_events import RecordedEvents
from k8sfsm.apiserver.served import refuse_unserved
from k8sfsm.apiserver.short_ways import SHORT_WAYS, with_report
from k8sfsm.apiserver.strategy import StrategyCase, prepared_for_create, prepared_for_update
from k8sfsm.apiserver.validation import invalid, invalid_report, warnings
from k8sfsm.machine import Machines, Move
from k8sfsm.objects import Pod, Service, evolve, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import (
    Bind,
    Create,
    Delete,
    DeleteCollection,
    Evict,
    Key,
    Outcome,
    Patch,
    PatchStatus,
    Update,
    Write,
)
from k8sfsm.store import Change, Store

_SERVER = "apiserver"
PEOPLE = "user"
"""The actor that stands for everybody outside the cluster."""
_WITH_DEFAULTS = ("", "ephemeralcontainers", "resize")
"""Subresources of which the spec is written."""


@define
class Request:
    """One request on its way: what it works on, and what has become of it so far.

    `asides`: revisions at which the server wrote something of its own, which stays even if the request is refused,
    with the rule for it; `kept`: the store after the last of them. `warnings`, `notes`: what the sender and the audit
    log are told.
    `owned`: it has noted itself who owns which fields.
    """

    write: Write
    sender: Sender
    now: int
    chance: Chance
    store: Store
    changes: list[Change] = field(factory=list)
    moves: list[Move] = field(factory=list)
    asides: dict[int, str] = field(factory=dict)
    kept: Store | None = None
    warnings: list[str] = field(factory=list)
    notes: dict[str, str] = field(factory=dict)
    owned: bool = False

    @property
    def second(self) -> int:
        """Now, as precisely as metav1.Time has it."""
        return self.now - self.now % SECOND


class ApiServer:
    """Stateless but for its options: `handle` maps a store and a write to an answer with a new store.

    `rules`: those of the cluster's own (see `own_rules`), whose mistakes are raised as SpecError and LawError.
    """

    def __init__(self, machines: Machines, options: Options | None = None) -> None:
        self.machines = machines
        self.options = options or Options()
        self.gate = Gate(people=self.options.rbac)
        self.rules = own_rules()
        self.police = Police()
        self.creations = Creations()
        self.events = RecordedEvents(self.options, self.gate)

    def handle(self, store: Store, write: Write, sender: Sender, now: int, chance: Chance) -> Answer:
        """Do one write, or refuse it. Never raises for what a request can be: refusals are outcomes."""
        short = SHORT_WAYS.get(write.__class__)
        answer = None if short is None else short(self, store, write, sender, now, chance)
        return answer or self.handle_plainly(store, write, sender, now, chance)

    def handle_plainly(self, store: Store, write: Write, sender: Sender, now: int, chance: Chance) -> Answer:
        """The same, on no short way."""
        if write.dry_run:
            return self._tried(store, write, sender, now, chance)
        request = Request(write, sender, now, chance, store)
        try:
            self.gate.pass_by(sender, write, store)
            code, obj = _HANDLERS[type(write)](self, request, write)
        except Refusal as refusal:
            stored = store.snapshot.get(_target(write)) if refusal.code == 409 else None
            outcome = Outcome(
                request=write, code=refusal.code, reason=refusal.reason, message=refusal.message, object=stored
            )
            if request.kept is None:
                return Answer(store, outcome)
            kept = tuple(change for change in request.changes if change.revision in request.asides)
            return Answer(request.kept, outcome, kept, asides=request.asides)
        outcome = Outcome(request=write, code=code, object=obj)
        if request.warnings or request.notes:
            outcome = evolve(outcome, warnings=tuple(dict.fromkeys(request.warnings)), notes=request.notes)
        return Answer(request.store, outcome, tuple(request.changes), tuple(request.moves), request.asides or NO_ASIDES)

    def _tried(self, store: Store, write: Write, sender: Sender, now: int, chance: Chance) -> Answer:
        """The answer to a dry run: as if the write were done, but that nothing is stored.

        Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/dryrun.go: DryRunnableStorage.
        """
        outcome = self.handle(store, evolve(write, dry_run=False), sender, now, chance.fork()).outcome
        obj = outcome.object
        if outcome.ok and hasattr(obj, "metadata"):
            old = store.snapshot.get(key_of(obj))
            version = "" if old is None else old.metadata.resource_version
            obj = evolve(obj, metadata=evolve(obj.metadata, resource_version=version))
        return Answer(store, evolve(outcome, request=write, object=obj))

    def record(self, store: Store, write: Create, sender: Sender, now: int, chance: Chance) -> Answer:
        """Create an Event that a recorder made; those after it may go a shorter way (`recorded_events`)."""
        self.events.learn(store, write, sender, chance)
        return self.handle(store, write, sender, now, chance)

    def is_like_others(self, new: Any) -> bool:
        """Whether what becomes of a new object can be what became of others: a pod's, unless people have rules."""
        return (
            new.__class__ is Pod
            and new.metadata.generate_name != ""
            and not (new.metadata.name or self.options.managed_fields)
            and not (self.police.is_needed or "Pod" in self.rules.tables)
        )

    # -- verbs --------------------------------------------------------------------------------------------------

    def _create(self, request: Request, write: Create) -> tuple[int, Any]:
        if not request.owned and self.is_like_others(write.object):
            return 201, self.creations.created(request, write, self._created)
        return 201, self._created(request, write)

    def _created(self, request: Request, write: Create) -> Any:
        """Create an object, whatever it is."""
        obj = write.object
        refuse_unserved(obj)
        self._look(request, None, obj)
        kind, namespace, name = key_of(obj)
        if not name:
            if not obj.metadata.generate_name:
                raise Refusal(422, "Invalid", f"{kind} has neither metadata.name nor metadata.generateName")
            name = generated_name(request.store, kind, namespace, obj.metadata.generate_name, request.chance)
        key = (kind, namespace, name)
        taken = request.store.snapshot.get(key)
        uid = request.chance.uid(key) if taken is None else ""
        obj, basis = admit(with_defaults(obj, request.store.snapshot), request.store, self.options, request.chance)
        if isinstance(obj, Service):
            obj = self._allocated(request, None, evolve(obj, metadata=evolve(obj.metadata, name=name)))
        obj = prepared_for_create(obj, name, uid, request.second, request.store.next_version)
        self._refuse_invalid(None, obj, basis)
        refuse_custom(None, obj, request.store.snapshot)
        request.warnings += self.police.ask(request.sender, request.write, None, obj, request.store.snapshot)
        self._review(request, None, obj, "")
        if taken is not None:
            raise already_exists(taken, request.store.snapshot)
        return self._put(request, None, obj)

    def _update(self, request: Request, write: Update) -> tuple[int, Any]:
        old = stored(request.store.snapshot, key_of(write.object))
        refuse_unserved(write.object, write.subresource)
        refuse_unconditional(write.object)
        refuse_other_version(old, write.object, request.store.snapshot)
        return 200, self._replace(request, old, write.object, write.subresource)

    def _patch(self, request: Request, write: Patch) -> tuple[int, Any]:
        if write.type == "apply":
            return self._apply(request, write)
        old = stored(request.store.snapshot, write.key)
        refuse_unserved(old, write.subresource)
        refuse_other_uid(old, write.uid, request.store.snapshot)
        new = patched(old, write.type, write.body)
        refuse_other_version(old, new, request.store.snapshot)
        return 200, self._replace(request, old, new, write.subresource)

    def _apply(self, request: Request, write: Patch) -> tuple[int, Any]:
        """A server-side apply, which also creates."""
        old = request.store.snapshot.get(write.key)
        if old is None and write.subresource:
            raise not_found(resource_text(write.key[0], request.store.snapshot), write.key[2])
        apply = Applying(write.key, write.body, write.manager, write.force, write.subresource, request.second)
        new = applied(apply, old, custom_schema(write.body, write.key[0], request.store.snapshot))
        request.owned = True
        if old is None:
            create = Create(object=new, why=write.why)
            self.gate.pass_by(request.sender, create, request.store)
            return self._create(request, create)
        refuse_unserved(old, write.subresource)
        refuse_other_uid(old, write.uid, request.store.snapshot)
        if new is old:
            return 200, old
        refuse_other_version(old, new, request.store.snapshot)
        return 200, self._replace(request, old, new, write.subresource)

    def _patch_status(self, request: Request, write: PatchStatus) -> tuple[int, Any]:
        old = stored(request.store.snapshot, write.key)
        refuse_other_uid(old, write.uid, request.store.snapshot)
        self._look(request, old, old)
        if write.status == old.status:
            return 200, old
        new = with_report(old, write.status, request.store.next_version)
        refuse_invalid(new, invalid_report(old, new))
        return 200, self._put(request, old, new)

    def _bind(self, request: Request, write: Bind) -> tuple[int, Any]:
        old = stored(request.store.snapshot, write.key)
        refuse_other_uid(old, write.uid, request.store.snapshot, "pods/binding")
        node = request.store.get("Node", "", write.node)
        pod = bound(old, write.node, node, request.second, request.store.next_version)
        return 201, self._put(request, old, pod)

    def _delete(self, request: Request, write: Delete) -> tuple[int, Any]:
        old = stored(request.store.snapshot, write.key)
        refuse_other_state(old, write, request.store.snapshot)
        self._look(request, old, None)
        request.warnings += self.police.ask(request.sender, request.write, old, None, request.store.snapshot)
        refuse_deletion(old)
        return 200, self._carry_out(request, old, deletion_of(old, write, request.second))

    def _delete_collection(self, request: Request, write: DeleteCollection) -> tuple[int, Any]:
        for obj in tuple(request.store.snapshot.series("in", write.kind, write.namespace)):
            single = Delete(key=key_of(obj), propagation=write.propagation)
            self._carry_out(request, obj, deletion_of(obj, single, request.second))
        return 200, tuple(request.store.snapshot.series("in", write.kind, write.namespace))

    def _evict(self, request: Request, write: Evict) -> tuple[int, Any]:
        pod = stored(request.store.snapshot, write.key)
        self._look(request, pod, None)
        case = eviction_case(request.store, pod, request.second)
        budget = granted(case)
        if budget is not None:
            self._put(request, case.budget, budget)
        noted = marked(case)
        if noted != pod:
            self._put(request, pod, noted)
        return self._delete(request, Delete(key=write.key))

    # -- shared parts -------------------------------------------------------------------------------------------

    def _replace(self, request: Request, old: Any, new: Any, subresource: str) -> Any:
        """What a PUT or PATCH of an object, or of one of its subresources, makes of the stored one."""
        new = with_defaults(new, request.store.snapshot) if subresource in _WITH_DEFAULTS else reported(new)
        if isinstance(new, Service) and not subresource:
            new = self._allocated(request, old, new)
        new = prepared_for_update(old, new, subresource)
        if new == old:
            return old
        self._look(request, old, new)
        self._refuse_invalid(old, new, subresource=subresource)
        refuse_custom(old, new, request.store.snapshot)
        request.warnings += self.police.ask(request.sender, request.write, old, new, request.store.snapshot)
        self._review(request, old, new, subresource)
        if finished(new):
            return self._remove(request, old, None)
        return self._put(request, old, new)

    def _refuse_invalid(self, old: Any, new: Any, basis: Any = None, subresource: str = "") -> None:
        """422 where the tables of validation find something in an object."""
        refuse_invalid(new, invalid(old, new, basis, subresource))

    def _look(self, request: Request, old: Any, new: Any) -> None:
        self.gate.look_at(request.sender, request.write, old, new, request.store.snapshot)

    def _allocated(self, request: Request, old: Service | None, new: Service) -> Service:
        """The Service with what is allocated to it, before anything else looks at it: BeginCreate, BeginUpdate."""
        return with_allocations(old, new, request.store, self.options, request.chance)

    def _review(self, request: Request, old: Any, new: Any, subresource: str) -> None:
        """Validating admission, and what is warned of. What quotas count is stored before the object is.

        Nobody but people reads what kinds warn of, so components are not told.
        """
        sender = request.sender
        if sender.actor == PEOPLE and not subresource:
            request.warnings += warnings(new)
        if not self.options.admission:
            return
        review = Review(new, old, subresource, request.store, self.options, self.rules, sender.account, request.now)
        reviewed(review)
        request.warnings += review.warnings
        request.notes |= review.notes
        for quota, rule in review.charges:
            request.store, change = request.store.put(quota, request.now)
            request.changes.append(change)
            request.asides[change.revision] = rule
            request.kept = request.store

    def _carry_out(self, request: Request, old: Any, deletion: Deletion) -> Any:
        if deletion.verdict == "keep" or (deletion.verdict == "mark" and deletion.object == old):
            return old
        if deletion.verdict == "mark":
            return self._put(request, old, deletion.object)
        return self._remove(request, old, deletion.object)

    def _put(self, request: Request, old: Any, new: Any) -> Any:
        if self.options.managed_fields or (old is not None and is_tracked(old)):
            new = self._noted(request, old, new)
        self._check(request, old, new)
        request.store, change = request.store.put(new, request.now)
        request.changes.append(change)
        return change.new

    def _noted(self, request: Request, old: Any, new: Any) -> Any:
        """The object with the owners of its fields; deletions, bindings and evictions are nobody's."""
        write = request.write
        if request.owned or not isinstance(write, Create | Update | Patch | PatchStatus):
            return new
        part = "status" if isinstance(write, PatchStatus) else getattr(write, "subresource", "")
        name = getattr(write, "manager", "") or request.sender.manager or manager_of(request.sender.actor)
        own = custom_schema({"apiVersion": new.api_version}, new.kind, request.store.snapshot)
        return noted(old, new, name, part, request.second, own)

    def _remove(self, request: Request, old: Any, last: Any) -> Any:
        if last is not None and last != old:
            old = self._put(request, old, last)
        self._check(request, old, None)
        request.store, change = request.store.remove(key_of(old), request.now)
        request.changes.append(change)
        self._remove_along(request, old)
        return change.new

    def _remove_along(self, request: Request, removed: Any) -> None:
        """Delete what goes with an object that was removed (table `removed-along`): the server itself does that."""
        kind = law.decide("removed-along", StrategyCase(removed.kind)).outputs["along"]
        obj = None if kind is None else request.store.get(kind, removed.metadata.namespace, removed.metadata.name)
        if obj is None:
            return
        own = evolve(request, sender=Sender(_SERVER))
        self._carry_out(own, obj, deletion_of(obj, Delete(key=key_of(obj)), request.second))
        request.store = own.store

    def _check(self, request: Request, old: Any, new: Any) -> None:
        """The machine check: is this a transition that this actor may make now?"""
        checked = self.machines.check(old, new, request.sender.actor, request.now)
        if checked.illegal:
            texts = "; ".join(str(illegal) for illegal in checked.illegal)
            raise Refusal(422, "IllegalTransition", texts)
        request.moves.extend(checked.moves)


def _target(write: Write) -> Key:
    """The key that a write is about; ("", "", "") for a collection."""
    if isinstance(write, Create | Update):
        return key_of(write.object)
    return ("", "", "") if isinstance(write, DeleteCollection) else write.key


_HANDLERS: dict[type[Any], Callable[[ApiServer, Request, Any], tuple[int, Any]]] = {
    Create: ApiServer._create,
    Update: ApiServer._update,
    Patch: ApiServer._patch,
    PatchStatus: ApiServer._patch_status,
    Bind: ApiServer._bind,
    Delete: ApiServer._delete,
    DeleteCollection: ApiServer._delete_collection,
    Evict: ApiServer._evict,
}
