"""Plays the API server of the upstream unit tests, so that a controller's plan runs to its end.

It keeps what it is sent: no defaulting, no generation, no precondition on resourceVersion; a status write stores the
whole object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, evolve, field

from k8sfsm.controllers.deployment.script import End, Phase, Script, plan_of
from k8sfsm.objects import OwnerReference, from_json, key_of, parse_time, to_json
from k8sfsm.request import Create, Delete, Key, Outcome, Parallel, Patch, Plan, Record, Remember, Update

_RESOURCES = {"Deployment": "deployments", "ReplicaSet": "replicasets"}


def read(document: dict[str, Any], kind: str = "") -> Any:
    """An object of a vector; `kind` where the vector leaves it out."""
    return from_json(document, kind)


def time_of(given: dict[str, Any]) -> int:
    """The clock of a vector, ns since the epoch."""
    return parse_time(given.get("now", "2026-01-15T12:00:00Z"))


@define
class Api:
    """Objects by key, and what was asked for: `actions` in the vectors' form, `events` as "Type Reason message"."""

    objects: dict[Key, Any]
    actions: list[dict[str, Any]] = field(factory=list)
    events: list[str] = field(factory=list)
    error: str = ""

    @classmethod
    def of(cls, objects: Iterable[Any]) -> Api:
        """A server that holds these objects."""
        return cls({key_of(obj): obj for obj in objects})

    def play(self, plan: Plan) -> Plan:
        """Carry out a plan and what it goes on with; gives the last part."""
        while True:
            outcomes: list[Outcome] = []
            for step in plan.steps:
                if isinstance(step, Record):
                    self.events.append(f"{step.type} {step.reason} {step.message}")
                    continue
                if isinstance(step, Parallel | Remember):
                    continue
                outcomes.append(self._answer(step))
                if not outcomes[-1].ok:
                    break
            if plan.then is None:
                self.error = plan.error
                return plan
            plan = plan.then(tuple(outcomes))

    def play_phase(self, phase: Callable[[], Phase]) -> None:
        """Carry out one part of a script."""

        def script() -> Script:
            yield from phase()
            return End()

        self.play(plan_of(script))

    def _answer(self, step: Any) -> Outcome:
        if isinstance(step, Create):
            return self._create(step)
        if isinstance(step, Update):
            return self._update(step)
        if isinstance(step, Delete):
            return self._delete(step)
        assert isinstance(step, Patch), step
        return self._patch(step)

    def _note(self, verb: str, kind: str, subresource: str = "", **more: Any) -> None:
        self.actions.append({"verb": verb, "resource": _RESOURCES[kind], "subresource": subresource, **more})

    def _create(self, step: Create) -> Outcome:
        obj = step.object
        self._note("create", obj.kind, object=to_json(obj))
        if key_of(obj) in self.objects:
            text = f'{_RESOURCES[obj.kind]}.apps "{obj.metadata.name}" already exists'
            return Outcome(request=step, code=409, reason="AlreadyExists", message=text)
        self.objects[key_of(obj)] = obj
        return Outcome(request=step, code=201, object=obj)

    def _update(self, step: Update) -> Outcome:
        obj = step.object
        self._note("update", obj.kind, step.subresource, object=to_json(obj))
        self.objects[key_of(obj)] = obj
        return Outcome(request=step, code=200, object=obj)

    def _delete(self, step: Delete) -> Outcome:
        self._note("delete", step.key[0], name=step.key[2])
        self.objects.pop(step.key)
        return Outcome(request=step, code=200)

    def _patch(self, step: Patch) -> Outcome:
        obj = self.objects[step.key]
        if not step.body:
            self._note("get", step.key[0], name=step.key[2])
            return Outcome(request=step, code=200, object=obj)
        kinds = {"strategic": "application/strategic-merge-patch+json", "merge": "application/merge-patch+json"}
        self._note("patch", step.key[0], name=step.key[2], patchType=kinds[step.type], patch=json.dumps(step.body))
        obj = evolve(obj, metadata=evolve(obj.metadata, owner_references=_owners(obj, step.body)))
        self.objects[step.key] = obj
        return Outcome(request=step, code=200, object=obj)


def _owners(obj: Any, body: Any) -> tuple[OwnerReference, ...]:
    """The owner references after a strategic merge patch; they are merged by uid."""
    owners = {owner.uid: owner for owner in obj.metadata.owner_references}
    for given in body["metadata"]["ownerReferences"]:
        owners.pop(given["uid"], None)
        if given.get("$patch") != "delete":
            owners[given["uid"]] = OwnerReference(
                api_version=given["apiVersion"],
                kind=given["kind"],
                name=given["name"],
                uid=given["uid"],
                controller=given["controller"],
                block_owner_deletion=given["blockOwnerDeletion"],
            )
    return tuple(owners.values())
