"""Reads what happened on nodes off the statuses that kubelets wrote, and off the Events that they recorded.

A fact that a status tells has the time of the status write, with nothing taken off: it happened no later. Where the
kubelet also recorded an Event about it (Pulling, Pulled, Started, Killing, Unhealthy), the fact has the Event's time:
its name ends in the nanosecond of its making, in hexadecimal (staging/src/k8s.io/client-go/tools/record/event.go:
makeEvent). Pulls, stop signals and liveness failures are known from Events only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from attrs import define, field

from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, EnvironmentFact, RecordedWrite
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import metadata

_LISTS: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_START_ERRORS: Final = frozenset({"StartError", "ContainerCannotRun"})
_PULL_ERRORS: Final = frozenset({"ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed"})
_BEFORE: Final = Line("")
_ALIVE: Final = SECOND
"""A kubelet that has just written lives on so long at least: what it saw before is reported."""
_NANOSECONDS: Final = range(10**17, 10**19)  # 1973 to 2286: what a name's hexadecimal ending may mean


def container_statuses(pod: Json) -> Iterator[Json]:
    """All container statuses of a pod: init, normal and ephemeral."""
    status = pod.get("status") or {}
    for name in _LISTS:
        yield from status.get(name) or ()


@define
class _Containers:
    """What has been said about the containers of one pod, by container id."""

    started: dict[str, None] = field(factory=dict)
    exited: dict[str, None] = field(factory=dict)
    ready: dict[str, bool] = field(factory=dict)
    probed: dict[str, int] = field(factory=dict)
    pull_failed: dict[str, bool] = field(factory=dict)


@define
class _Sandbox:
    """The pod sandbox as the statuses show it; `fact` is the index of its sandbox-run."""

    running: bool = False
    attempt: int = -1
    ip: str = ""
    fact: int = -1


class _Reader:
    def __init__(self) -> None:
        self.facts: list[EnvironmentFact] = []
        self.containers: dict[str, _Containers] = {}
        self.sandboxes: dict[str, _Sandbox] = {}
        self.starts: dict[tuple[str, str], list[EnvironmentFact]] = {}
        self.unhealthy: dict[tuple[str, str], list[EnvironmentFact]] = {}
        self.silent: dict[str, None] = {}
        self.heard: dict[str, int] = {}
        self.runs: Counter[tuple[str, str]] = Counter()
        self.pulls_told: dict[str, None] = {}
        self.killed: dict[tuple[str, str], list[int]] = {}

    # -- pods -------------------------------------------------------------------------------------------------------

    def pod(self, write: RecordedWrite, old: Json, new: Json) -> None:
        """Take in a pod's new status."""
        self._sandbox(write, new)
        known = self.containers.setdefault(write.uid, _Containers())
        for status in container_statuses(new):
            self._container(write, new, status, known)

    def _add(self, write: RecordedWrite, pod: Json, event: str, **values: Any) -> None:
        node = str((pod.get("spec") or {}).get("nodeName") or write.node)
        fact = EnvironmentFact(
            line=write.seen or write.line,
            time=write.time,
            event=event,
            source="status",
            node=node,
            pod=write.key,
            uid=write.uid,
        )
        self.facts.append(evolve(fact, **values))

    def _sandbox(self, write: RecordedWrite, pod: Json) -> None:
        status = pod.get("status") or {}
        conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or ()}
        told = conditions.get("PodReadyToStartContainers")
        ip = str(status.get("podIP") or "")
        known = self.sandboxes.setdefault(write.uid, _Sandbox())
        if known.running and (told == "False" or (ip and known.ip and ip != known.ip)):
            self._add(write, pod, "sandbox-stop", ip=known.ip)
            known.running, known.ip = False, ""
        if not known.running and (told == "True" or (told is None and ip)):
            known.running, known.attempt, known.ip, known.fact = True, known.attempt + 1, "", len(self.facts)
            self._add(write, pod, "sandbox-run", attempt=known.attempt)
        if known.running and ip and not known.ip:
            known.ip = ip
            if known.fact >= 0:
                self.facts[known.fact] = evolve(self.facts[known.fact], ip=ip)

    def _container(self, write: RecordedWrite, pod: Json, status: Json, known: _Containers) -> None:
        name = str(status.get("name") or "")
        restarts = int(status.get("restartCount") or 0)
        last, state = status.get("lastState") or {}, status.get("state") or {}
        common = {"container": name, "image": _asked_image(pod, name)}
        if isinstance(ended := last.get("terminated"), dict):
            self._ended(write, pod, ended, {**common, "attempt": restarts - 1}, known)
        if isinstance(running := state.get("running"), dict):
            self._started(
                write, pod, str(status.get("containerID") or ""), running, {**common, **_ids(status, restarts)}, known
            )
        if isinstance(ended := state.get("terminated"), dict):
            self._ended(write, pod, ended, {**common, **_ids(status, restarts)}, known)
        self._pull_failure(write, pod, state.get("waiting") or {}, common, known)
        self._startup(write, pod, status, {**common, "attempt": restarts}, known)
        self._readiness(write, pod, status, common, known)

    def _startup(
        self, write: RecordedWrite, pod: Json, status: Json, common: dict[str, Any], known: _Containers
    ) -> None:
        """A run whose startup probe has succeeded says so."""
        name, attempt = common["container"], common["attempt"]
        if not status.get("started") or known.probed.get(name) == attempt or not _has_probe(pod, name, "startupProbe"):
            return
        known.probed[name] = attempt
        self._add(write, pod, "probe", probe="started", ok=True, container_id=status.get("containerID") or "", **common)

    def _started(
        self, write: RecordedWrite, pod: Json, identity: str, state: Json, values: dict[str, Any], known: _Containers
    ) -> None:
        if not identity or identity in known.started:
            return
        known.started[identity] = None
        values = {**values, "container_id": identity, "more": _times(state)}
        told = self.starts.get((write.uid, values["container"])) or []
        if told:
            running = "finishedAt" not in state
            event = told[-1] if running else told[0]
            del told[: len(told) if running else 1]  # what is left of earlier starts that no status showed
            values |= {"time": min(event.time, write.time), "source": "event", "line": event.line}
        self._add(write, pod, "container-start", ip=str((pod.get("status") or {}).get("podIP") or ""), **values)

    def _ended(self, write: RecordedWrite, pod: Json, ended: Json, values: dict[str, Any], known: _Containers) -> None:
        identity = str(ended.get("containerID") or values.get("container_id") or "")
        if not identity or identity in known.exited:
            return
        known.exited[identity] = None
        values = {**values, "container_id": identity}
        code, reason = int(ended.get("exitCode") or 0), str(ended.get("reason") or "")
        if reason in _START_ERRORS:
            self._add(write, pod, "container-start-error", code=code, reason=reason, **values)
            return
        self._started(write, pod, identity, ended, values, known)
        if metadata(pod).get("deletionTimestamp"):
            self.killed.setdefault((write.uid, values["container"]), []).append(write.time)
        self._add(write, pod, "container-exit", code=code, reason=reason, more=_times(ended), **values)

    def _pull_failure(
        self, write: RecordedWrite, pod: Json, waiting: Json, common: dict[str, Any], known: _Containers
    ) -> None:
        failed = waiting.get("reason") in _PULL_ERRORS
        before = known.pull_failed.get(common["container"], False)
        known.pull_failed[common["container"]] = failed
        if failed and not before and write.uid not in self.pulls_told:
            self._add(write, pod, "pull-failed", reason=str(waiting.get("reason")), **common)

    def _readiness(
        self, write: RecordedWrite, pod: Json, status: Json, common: dict[str, Any], known: _Containers
    ) -> None:
        ready, name = bool(status.get("ready")), common["container"]
        before = known.ready.get(name, False)
        known.ready[name] = ready
        failed = self.unhealthy.pop((write.uid, name), None) if ready != before else None
        if (
            ready == before
            or "running" not in (status.get("state") or {})
            or not _has_probe(pod, name, "readinessProbe")
        ):
            return
        values: dict[str, Any] = {
            **common,
            "attempt": int(status.get("restartCount") or 0),
            "probe": "ready",
            "ok": ready,
            "container_id": status.get("containerID") or "",
        }
        if not ready and failed:
            values |= {"time": min(failed[-1].time, write.time), "source": "event", "line": failed[-1].line}
        self._add(write, pod, "probe", **values)

    def with_orders(self) -> Iterator[EnvironmentFact]:
        """All facts; a container's end that its kubelet had ordered says so."""
        begun = {
            (fact.uid, fact.container, fact.attempt): fact.time
            for fact in self.facts
            if fact.event == "container-start"
        }
        for fact in self.facts:
            since = begun.get((fact.uid, fact.container, fact.attempt), 0)
            told = self.killed.get((fact.uid, fact.container), ())
            ordered = fact.event == "container-exit" and any(since <= at <= fact.time + SECOND for at in told)
            yield evolve(fact, more={**fact.more, "why": "sigterm"}) if ordered else fact

    # -- Events -----------------------------------------------------------------------------------------------------

    def event(self, write: RecordedWrite, event: Json) -> None:
        """Take in an Event that a kubelet recorded about a pod."""
        about = event.get("involvedObject") or event.get("regarding") or {}
        reason, message = str(event.get("reason") or ""), str(event.get("message") or event.get("note") or "")
        if about.get("kind") != "Pod" or reason not in _REASONS:
            return
        uid = str(about.get("uid") or "")
        key: Key = ("Pod", str(about.get("namespace") or ""), str(about.get("name") or ""))
        container = str(about.get("fieldPath") or "").partition("{")[2].rstrip("}")
        source = event.get("source") or {}
        node = write.node or str(source.get("host") or event.get("reportingInstance") or "")
        fact = EnvironmentFact(
            line=write.seen or write.line,
            time=event_time(event, write),
            event="",
            source="event",
            node=node,
            pod=key,
            uid=uid,
            container=container,
        )
        self._told(reason, message, fact)

    def _told(self, reason: str, message: str, fact: EnvironmentFact) -> None:
        image = message.partition('"')[2].partition('"')[0]
        if reason == "Started":
            self.runs[fact.uid, fact.container] += 1
            self.starts.setdefault((fact.uid, fact.container), []).append(fact)
        elif reason == "Pulling":
            self.pulls_told[fact.uid] = None
            self.facts.append(evolve(fact, event="pull-start", image=image))
        elif reason == "Pulled" and message.startswith("Successfully pulled"):
            self.facts.append(evolve(fact, event="pull-done", image=image))
        elif reason == "Failed" and message.startswith("Failed to pull image"):
            self.facts.append(evolve(fact, event="pull-failed", image=image))
        elif reason == "Killing":
            self.killed.setdefault((fact.uid, fact.container), []).append(fact.time)
            self.facts.append(evolve(fact, event="stop-signal"))
        elif reason == "Unhealthy":
            self._failed_probe(message, fact)

    def _failed_probe(self, message: str, fact: EnvironmentFact) -> None:
        name = {"Readiness": "ready", "Liveness": "live", "Startup": "started"}.get(message.partition(" ")[0], "")
        attempt = max(self.runs[fact.uid, fact.container] - 1, 0)
        failure = evolve(fact, event="probe", probe=name, ok=False, attempt=attempt)
        if name == "ready":  # told with the status that it leads to
            self.unhealthy.setdefault((fact.uid, fact.container), []).append(failure)
        elif name:
            self.facts.append(failure)

    # -- nodes ------------------------------------------------------------------------------------------------------

    def node(self, write: RecordedWrite, new: Json) -> None:
        """A kubelet that the node controller lost was killed after its last write."""
        name = write.key[2]
        ready = {c.get("type"): c.get("status") for c in (new.get("status") or {}).get("conditions") or ()}.get("Ready")
        if ready == "Unknown" and name not in self.silent:
            self.silent[name] = None
            time = min(self.heard.get(name, write.time) + _ALIVE, write.time)
            self._of_node(write, name, "kubelet-killed", time, {"noticed": write.time})
        elif ready == "True" and name in self.silent:
            self._back(write, name)

    def kubelet(self, write: RecordedWrite) -> None:
        """Take in who wrote: the first write of a kubelet that was lost tells that it is back.

        One that says that it starts was killed before, even where nobody found its node lost.
        """
        if write.node in self.heard and write.node not in self.silent and _starts(write):
            self.silent[write.node] = None
            time = min(self.heard[write.node] + _ALIVE, write.received or write.time)
            self._of_node(write, write.node, "kubelet-killed", time, {})
        self.heard[write.node] = write.time
        if write.node in self.silent:
            self._back(write, write.node)

    def _back(self, write: RecordedWrite, node: str) -> None:
        del self.silent[node]
        self._of_node(write, node, "kubelet-started", min(write.received or write.time, write.time), {})

    def _of_node(self, write: RecordedWrite, node: str, event: str, time: int, more: dict[str, Any]) -> None:
        line = write.seen or write.line
        source: Literal["status"] = "status"
        self.facts.append(EnvironmentFact(line=line, time=time, event=event, source=source, node=node, more=more))


_REASONS: Final = frozenset({"Started", "Pulling", "Pulled", "Failed", "Killing", "Unhealthy"})


def _starts(write: RecordedWrite) -> bool:
    """Whether a kubelet's write is the Event that it starts."""
    event = write.new.json if write.key[0] == "Event" and write.new is not None else {}
    return event.get("reason") == "Starting" and "kubelet" in str(event.get("message") or event.get("note") or "")


def made_at(event: Json) -> int:
    """When an Event was made (ns), off the ending of its name; 0 where that does not tell it."""
    ending = str(metadata(event).get("name") or "").rpartition(".")[2]
    if event.get("kind") != "Event" or not ending.isalnum():
        return 0
    try:
        made = int(ending, 16)
    except ValueError:
        return 0
    return made if made in _NANOSECONDS else 0


def event_time(event: Json, write: RecordedWrite) -> int:
    """When what an Event tells happened (ns): its making for a new one, for a repeated one the time of the write."""
    made = made_at(event)
    return min(made, write.time) if write.type == "ADDED" and made else write.time


def _ids(status: Json, restarts: int) -> dict[str, Any]:
    return {
        "attempt": restarts,
        "container_id": str(status.get("containerID") or ""),
        "image_reported": str(status.get("image") or ""),
        "image_id": str(status.get("imageID") or ""),
    }


def _times(state: Json) -> dict[str, Any]:
    return {name: state[name] for name in ("startedAt", "finishedAt") if state.get(name)}


def _containers_of(pod: Json) -> Iterator[Json]:
    spec = pod.get("spec") or {}
    for name in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(name) or ()


def _asked_image(pod: Json, name: str) -> str:
    return next((str(c.get("image") or "") for c in _containers_of(pod) if c.get("name") == name), "")


def _has_probe(pod: Json, name: str, probe: str) -> bool:
    return any(probe in container for container in _containers_of(pod) if container.get("name") == name)


def facts_from_statuses(
    writes: Iterable[RecordedWrite], initial: Iterable[Document] = ()
) -> tuple[EnvironmentFact, ...]:
    """The environment facts that the statuses and Events in `writes` tell, in order of time.

    Input: writes in order, and the objects before them. What they already say is not told again.
    """
    reader = _Reader()
    _prime(reader, initial)
    for write in writes:
        if write.actor == "kubelet" and write.node:
            reader.kubelet(write)
        if write.type in (None, "DELETED") or write.new is None:
            continue
        kind = write.key[0]
        if kind == "Pod":
            old = write.old.json if write.old else {}
            if old.get("status") != write.new.json.get("status"):
                reader.pod(write, old, write.new.json)
        elif kind == "Event":
            reader.event(write, write.new.json)
        elif kind == "Node":
            reader.node(write, write.new.json)
    return tuple(sorted(reader.with_orders(), key=lambda fact: fact.time))


def _prime(reader: _Reader, initial: Iterable[Document]) -> None:
    for number, document in enumerate(initial):
        if document.key[0] not in ("Pod", "Node"):
            continue
        write = RecordedWrite(
            line=_BEFORE, request=number, time=0, actor="", verb="create", key=document.key, code=0, new=document
        )
        reader.pod(write, {}, document.json) if document.key[0] == "Pod" else reader.node(write, document.json)
    reader.facts.clear()
    for sandbox in reader.sandboxes.values():
        sandbox.fact = -1
