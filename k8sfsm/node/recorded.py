"""A container runtime that answers with what a recorded environment did: for replays.

Every order is answered with the recorded fact of the same pod, container and attempt, at the recorded time or, where
the kubelet of the replay is late, at once. What was not recorded is answered by `fallback`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from k8sfsm.node.probing import complaint, ip_of, probes_of
from k8sfsm.node.runtime import Answer, Runtime, RuntimeEvent
from k8sfsm.node.runtime_state import State, pod_of
from k8sfsm.node.scripted import (
    NO_SUCH_FILE,
    ScriptedRuntime,
    event_of,
    hook_seconds,
    image_id,
    not_found,
    reported_name,
    script_of,
)
from k8sfsm.objects import Container, Probe, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.times import parse_time
from k8sfsm.request import Call

_ORDERED: Final = ("sigterm", "sigkill after grace period", "sigkill")
"""Why a run ended, where the kubelet had ordered it."""
_SIZE: Final = 1_048_576
_SANDBOX: Final = 150_000_000
"""How long (ns) the recorded runtime took to make a sandbox."""
_JUST: Final = 1_000_000
"""How long (ns) before something is just before it."""


class RecordedRuntime:
    """Facts from a list of recorded environment events (lines of `env.jsonl`).

    `image_facts`: image -> (name, id, size) as the runtime reported them; `container_ids`: short id -> whole id;
    What the log does not tell: `cleaned_at`, pod uid -> when the kubelet handed the pod back (ns); `noticed_at`,
    short id -> when the kubelet had noticed the container's end (ns); `deleted_at`, pod uid -> when it was marked (ns).
    `terse`: answers of probes that say what the one before said are left out. A probe event with `conclusive` was
    believed when it came: it is read off the status that it led to.
    """

    def __init__(
        self,
        events: Iterable[Mapping[str, Any]],
        image_facts: Mapping[str, tuple[str, str, int]] | None = None,
        container_ids: Mapping[str, str] | None = None,
        cleaned_at: Mapping[str, int] | None = None,
        noticed_at: Mapping[str, int] | None = None,
        deleted_at: Mapping[str, int] | None = None,
        terse: bool = False,
        fallback: Runtime | None = None,
    ) -> None:
        self.image_facts = dict(image_facts or {})
        self.container_ids = dict(container_ids or {})
        self.cleaned_at = dict(cleaned_at or {})
        self.noticed_at = dict(noticed_at or {})
        self.deleted_at = dict(deleted_at or {})
        self.terse = terse
        self.fallback: Runtime = fallback if fallback is not None else ScriptedRuntime()
        self._pods: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
        self._end = 0
        for event in events:
            if "uid" in event:
                self._pods.setdefault(event["uid"], []).append((parse_time(event["ts"]), event))
        for found in self._pods.values():
            found.sort(key=lambda pair: pair[0])
            self._end = max(self._end, found[-1][0])

    def answer(self, call: Call, now: int, state: State) -> Iterable[Answer]:
        """The recorded facts that follow from `call`; the fallback's where nothing of the kind was recorded."""
        answers = _ANSWERS.get(call.verb)
        found = list(answers(self, call, now, state)) if answers is not None else []
        if found or call.verb == "probe" or (call.verb == "mount-volumes" and self._pods):
            return found
        return self.fallback.answer(call, now, state)

    def _recorded(self, call: Call, *kinds: str, **wanted: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for at, event in self._pods.get(call.uid, ()):
            if event["event"] in kinds and all(event.get(name) == value for name, value in wanted.items()):
                yield at, event

    def _mount_volumes(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """Not in the log, but they must have been mounted before the sandbox was made; else they never were.

        A kubelet that had seen the pod's deletion would not have made a sandbox.
        """
        for at, _ in self._recorded(call, "sandbox-run"):
            due = max(now, min(at - _SANDBOX, self.deleted_at.get(call.uid, at) - _JUST))
            yield due, event_of(call, due, "volumes-mounted")
            return

    def _run_sandbox(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        for at, event in self._recorded(call, "sandbox-run", attempt=call.arguments["attempt"]):
            due = max(now, at)
            yield due, event_of(call, due, "sandbox-run", attempt=event["attempt"], ip=event.get("ip", ""))
            return

    def _stop_sandbox(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        for at, _ in self._recorded(call, "sandbox-stop"):
            due = max(now, at)
            yield due, event_of(call, due, "sandbox-stop")
            return

    def _pull_image(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """The first recorded pull of the image by the pod that ended after the pod's last one."""
        image = call.arguments["image"]
        before = pod_of(state, call.uid).pulls.get(image)
        last = before.finished_at if before is not None else 0
        begun = now
        for at, event in self._recorded(call, "pull-start", "pull-done", "pull-failed", image=image):
            if at <= last:
                continue
            if event["event"] == "pull-start":
                begun = max(now, at)
                continue
            due = max(now, at)
            kind = "pull-start" if begun == now else "pull-queued"
            yield now, event_of(call, now, kind, image=image, begins=begun, ends=due)
            yield due, event_of(call, due, event["event"], image=image, **self._image(image, event))
            return

    def _image(self, image: str, event: Mapping[str, Any]) -> dict[str, Any]:
        if event["event"] == "pull-failed":
            return {"message": event.get("message") or not_found(image)}
        name, identity, size = self.image_facts.get(image, (reported_name(image), image_id(image), _SIZE))
        return {"reported_image": name, "image_id": identity, "size": size}

    def _start_container(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        attempt = call.arguments["attempt"]
        wanted = {"container": call.container, "attempt": attempt}
        started = next(self._recorded(call, "container-start", "container-start-error", **wanted), None)
        if started is None:
            return
        at, event = started
        due = max(now, at)
        image = event.get("image", "")
        facts = self._image(image, event)
        facts.pop("size")
        facts |= {"attempt": attempt, "id": self._id(event), "image": image}
        if event["event"] == "container-start-error":
            yield due, event_of(call, due, "container-start-error", code=128, message=NO_SUCH_FILE, **facts)
            return
        yield due, event_of(call, due, "container-start", **facts)
        yield from self._probes(call, due, wanted, ip_of(pod_of(state, call.uid)))
        for ended, exit_ in self._recorded(call, "container-exit", **wanted):
            if exit_.get("why") not in _ORDERED:
                yield max(due, ended), self._exit(call, max(due, ended), exit_)

    def _id(self, event: Mapping[str, Any]) -> str:
        short = event.get("id", "")
        known: str = self.container_ids.get(short, f"containerd://{short}")
        return known

    def _exit(self, call: Call, due: int, event: Mapping[str, Any]) -> RuntimeEvent:
        """The recorded end; what message the container left is in its script only."""
        own = event.get("why") not in _ORDERED
        noticed = self.noticed_at.get(event.get("id", ""))
        return event_of(
            call,
            due,
            "container-exit",
            attempt=event["attempt"],
            code=event.get("code", 0),
            reason=event.get("reason", ""),
            message=event.get("message") or (script_of(call.arguments["spec"]).message if own else ""),
            noticed=None if noticed is None else max(noticed, due),
        )

    def _probes(self, call: Call, started: int, wanted: Mapping[str, Any], ip: str) -> Iterator[Answer]:
        spec: Container = call.arguments["spec"]
        probes = dict(probes_of(spec))
        yield from self._refusals(call, started, wanted, ip)
        until = min((at for at, _ in self._recorded(call, "container-exit", **wanted)), default=self._end)
        for kind, probe in probes.items():
            found = list(self._recorded(call, "probe", probe=kind, **wanted))
            believed = {(at, event["ok"]) for at, event in found if event.get("conclusive")}
            answers = [(at, event["ok"]) for at, event in found]
            for at, ok in _repeated(answers, probe, until) if self.terse and not believed else answers:
                due = max(started, at)
                text = "" if ok else complaint(probe, kind, False, ip)
                asked = evolve(probe, success_threshold=1, failure_threshold=1) if (at, ok) in believed else probe
                yield due, _probe(call, due, kind, asked, wanted["attempt"], ok, text)

    def _refusals(self, call: Call, started: int, wanted: Mapping[str, Any], ip: str) -> Iterator[Answer]:
        """Probes over the network of a container that does not listen: it never sees them, so nothing is recorded."""
        spec: Container = call.arguments["spec"]
        if script_of(spec).listens:
            return
        until = min((at for at, _ in self._recorded(call, "container-exit", **wanted)), default=self._end)
        for kind, probe in probes_of(spec):
            if probe.exec is not None or next(self._recorded(call, "probe", probe=kind, **wanted), None) is not None:
                continue
            period = (probe.period_seconds or 10) * SECOND
            first = started + probe.initial_delay_seconds * SECOND + SECOND // 100
            for at in range(first, until, period):
                yield at, _probe(call, at, kind, probe, wanted["attempt"], False, complaint(probe, kind, True, ip))

    def _hook_cut_off(self, call: Call, ended: int, wanted: Mapping[str, Any]) -> bool:
        """The pre-stop hook was begun and would have taken longer than the container lived."""
        hook = call.arguments.get("pre_stop")
        command = list(hook.exec.command) if hook is not None and hook.exec is not None else None
        begun = [at for at, event in self._recorded(call, "exec", **wanted) if event.get("cmd") == command]
        return bool(begun) and begun[-1] + int(hook_seconds(hook) * SECOND) > ended

    def _stop_container(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        wanted = {"container": call.container, "attempt": call.arguments["attempt"]}
        for at, event in self._recorded(call, "container-exit", **wanted):
            due = max(now, at)
            yield now, event_of(call, now, "stop-signal", attempt=event["attempt"])
            if self._hook_cut_off(call, at, wanted):
                yield due, event_of(call, due, "hook-failed", attempt=event["attempt"])
            yield due, self._exit(call, due, event)
            return

    def _clean_up_pod(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        if call.uid in self.cleaned_at:
            due = max(now, self.cleaned_at[call.uid])
            yield due, event_of(call, due, "volumes-unmounted")


_ANSWERS: Final[Mapping[str, Callable[[RecordedRuntime, Call, int, State], Iterable[Answer]]]] = {
    "mount-volumes": RecordedRuntime._mount_volumes,
    "run-sandbox": RecordedRuntime._run_sandbox,
    "stop-sandbox": RecordedRuntime._stop_sandbox,
    "pull-image": RecordedRuntime._pull_image,
    "start-container": RecordedRuntime._start_container,
    "stop-container": RecordedRuntime._stop_container,
    "clean-up-pod": RecordedRuntime._clean_up_pod,
}


def _repeated(answers: Sequence[tuple[int, bool]], probe: Probe, until: int) -> Iterator[tuple[int, bool]]:
    """The answers with those that say the same again, as often as it takes to be believed; none after `until` (ns)."""
    period = (probe.period_seconds or 10) * SECOND
    ends = [*(at for at, _ in answers[1:]), until]
    for (at, ok), end in zip(answers, ends, strict=False):
        times = (probe.success_threshold or 1) if ok else (probe.failure_threshold or 3)
        yield from ((each, ok) for each in range(at, at + times * period, period) if each == at or each < end)


def _probe(call: Call, at: int, kind: str, probe: Probe, attempt: int, ok: bool, text: str) -> RuntimeEvent:
    thresholds = {"success": probe.success_threshold or 1, "failure": probe.failure_threshold or 3}
    return event_of(call, at, "probe", attempt=attempt, probe=kind, ok=ok, message=text, **thresholds)
