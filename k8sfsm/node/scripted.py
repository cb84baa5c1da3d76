"""A container runtime that does what images are called: the environment of simulations.

Parts of a name beginning with `sim/`: `exitC-after-Ss`, `oom-after-Ss`, `readySs`, `unhealthy-after-Ss`, `slow-start`,
`termSs`, `ignoreterm`/`slow-stop`, `notfound`, `pullSs`, `starterror`, `web`. Environment variables `SIM_...` go
before the name, and a script of the scenario before both. Any other image runs for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from attrs import frozen

from k8sfsm.law import constant
from k8sfsm.node.addresses import pod_network
from k8sfsm.node.probing import asks, complaint, ip_of, is_healthy, probes_of
from k8sfsm.node.runtime import Answer, RuntimeEvent
from k8sfsm.node.runtime_state import NODE, NodeRuntime, State, image_of, node_of, pod_of
from k8sfsm.objects import Container, Quantity, changer_of, evolve
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Call


@frozen(kw_only=True)
class Latencies:
    """How long the node takes for what a script does not say; nanoseconds, medians of the recorded cluster."""

    volumes: int = 270 * MILLISECOND
    sandbox: int = 150 * MILLISECOND
    start: int = 75 * MILLISECOND
    pull: int = 500 * MILLISECOND
    failed_pull: int = 400 * MILLISECOND
    term: int = 300 * MILLISECOND
    sandbox_stop: int = 2 * MILLISECOND
    probe: int = 2 * MILLISECOND
    clean_up: int = 600 * MILLISECOND


@frozen(kw_only=True)
class Script:
    """How a container behaves. Times in seconds from its start; None: never."""

    exit_after: float | None = None
    exit_code: int = 0
    exit_reason: str = ""
    ready_after: float | None = 0
    started_after: float | None = 0
    live_until: float | None = None
    term_delay: float | None = None
    term_code: int = 0
    ignores_term: bool = False
    pull_after: float | None = None
    pull_fails: bool = False
    start_fails: bool = False
    fail_attempts: int | None = None
    then_exit_after: float | None = None
    listens: bool = True
    message: str = ""
    memory: tuple[tuple[float, int], ...] = ()
    """Bytes that it uses, each from a time on."""
    ready_up_to: float | None = None
    alive_up_to: float | None = None
    """Requests per second with which its probes still succeed; None: any number."""


_PHRASES: Final[tuple[tuple[str, Callable[[re.Match[str]], dict[str, Any]]], ...]] = (
    (r"exit (\d+) after ([\d.]+)s", lambda m: {"exit_code": int(m[1]), "exit_after": float(m[2])}),
    (r"oom after ([\d.]+)s", lambda m: {"exit_code": 137, "exit_after": float(m[1]), "exit_reason": "OOMKilled"}),
    (r"ready after ([\d.]+)s", lambda m: {"ready_after": float(m[1])}),
    (r"never ready", lambda m: {"ready_after": None}),
    (r"started after ([\d.]+)s", lambda m: {"started_after": float(m[1])}),
    (r"never started", lambda m: {"started_after": None}),
    (r"unhealthy after ([\d.]+)s", lambda m: {"live_until": float(m[1])}),
    (r"term after ([\d.]+)s(?: with (\d+))?", lambda m: {"term_delay": float(m[1]), "term_code": int(m[2] or 0)}),
    (r"slow stop|ignores term", lambda m: {"ignores_term": True}),
    (r"pull fails", lambda m: {"pull_fails": True}),
    (r"pull takes ([\d.]+)s", lambda m: {"pull_after": float(m[1])}),
    (r"start fails", lambda m: {"start_fails": True}),
    (r"ready up to ([\d.]+)/s", lambda m: {"ready_up_to": float(m[1])}),
    (r"alive up to ([\d.]+)/s", lambda m: {"alive_up_to": float(m[1])}),
    (
        r"uses (\d+\w*)(?: after ([\d.]+)s)?",
        lambda m: {"memory": ((float(m[2] or 0), Quantity.parse(m[1]).value),)},
    ),
)
_NAMES: Final[tuple[tuple[str, Callable[[re.Match[str]], dict[str, Any]]], ...]] = (
    (r"exit(\d+)-after-([\d.]+)s", lambda m: {"exit_code": int(m[1]), "exit_after": float(m[2])}),
    (r"oom-after-([\d.]+)s", lambda m: {"exit_code": 137, "exit_after": float(m[1]), "exit_reason": "OOMKilled"}),
    (r"(?<!un)ready([\d.]+)s", lambda m: {"ready_after": float(m[1])}),
    (r"unhealthy-after-([\d.]+)s", lambda m: {"live_until": float(m[1])}),
    (r"slow-start", lambda m: {"started_after": 10.0}),
    (r"(?<!ignore)term([\d.]+)s", lambda m: {"term_delay": float(m[1])}),
    (r"ignoreterm|slow-stop", lambda m: {"ignores_term": True}),
    (r"notfound", lambda m: {"pull_fails": True}),
    (r"pull([\d.]+)s", lambda m: {"pull_after": float(m[1])}),
    (r"starterror", lambda m: {"start_fails": True}),
)
_VARIABLES: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "SIM_EXIT_AFTER": lambda text: {"exit_after": float(text)},
    "SIM_EXIT_CODE": lambda text: {"exit_code": int(text)},
    "SIM_READY_AFTER": lambda text: {"ready_after": float(text)},
    "SIM_STARTED_AFTER": lambda text: {"started_after": float(text)},
    "SIM_LIVE_UNTIL": lambda text: {"live_until": float(text)},
    "SIM_TERM_DELAY": lambda text: {"term_delay": float(text)},
    "SIM_TERM_CODE": lambda text: {"term_code": int(text)},
    "SIM_FAIL_ATTEMPTS": lambda text: {"fail_attempts": int(text)},
    "SIM_THEN_EXIT_AFTER": lambda text: {"then_exit_after": float(text)},
    "SIM_TERM_MSG": lambda text: {"message": text},
    "SIM_PORTS": lambda text: {"listens": True},
}


def parse_script(text: str, base: Script | None = None) -> Script:
    """A script from phrases separated by commas: ``exit 1 after 2s, never ready``. Raises ValueError."""
    script = base if base is not None else Script()
    for phrase in filter(None, (part.strip() for part in text.split(","))):
        for pattern, fields in _PHRASES:
            match = re.fullmatch(pattern, phrase)
            if match is not None:
                found = fields(match)
                if "memory" in found:
                    found["memory"] = script.memory + found["memory"]
                script = evolve(script, **found)
                break
        else:
            raise ValueError(f"unknown phrase {phrase!r} in a container's script, expected such as 'exit 1 after 2s'")
    return script


@lru_cache(maxsize=4096)
def script_of_image(image: str) -> Script:
    """What an image's name says."""
    if "sim/" not in image:
        return Script()
    script = Script(listens="web" in image)
    name = image.rpartition("sim/")[2].rpartition(":")[0] or image.rpartition("sim/")[2]
    for pattern, fields in _NAMES:
        match = re.search(pattern, name)
        if match is not None:
            script = evolve(script, **fields(match))
    return script


def with_variables(script: Script, container: Container) -> Script:
    """The script with what the container's `SIM_` variables say."""
    for variable in container.env:
        fields = _VARIABLES.get(str(variable.get("name")))
        if fields is not None and "value" in variable:
            script = evolve(script, **fields(str(variable["value"])))
    return script


def script_of(container: Container) -> Script:
    """How a container behaves, as its image's name and its variables say."""
    return with_variables(script_of_image(container.image), container)


class ScriptedRuntime:
    """Answers orders by script. `scripts`: (pod name pattern, container or "*", phrases); later ones win."""

    def __init__(
        self,
        scripts: Iterable[tuple[str, str, str]] = (),
        latencies: Latencies | None = None,
        pod_cidrs: Mapping[str, str] | None = None,
    ) -> None:
        self.latencies = latencies if latencies is not None else Latencies()
        self.scripts = tuple(scripts)
        self.pod_cidrs = dict(pod_cidrs or {})
        for _, _, phrases in self.scripts:
            parse_script(phrases)

    def script(self, call: Call, container: Container) -> Script:
        """How this container behaves."""
        script = script_of(container) if container.env else script_of_image(container.image)
        for pod, name, phrases in self.scripts:
            if fnmatchcase(call.pod[2], pod) and name in ("*", container.name):
                script = parse_script(phrases, script)
        return script

    def answer(self, call: Call, now: int, state: State) -> Iterable[Answer]:
        """The facts that follow from `call`. Verbs that the runtime does not know are ignored."""
        answers = _ANSWERS.get(call.verb)
        return () if answers is None else answers(self, call, now, state)

    # -- orders ---------------------------------------------------------------------------------------------------

    def mount_volumes(self, call: Call, now: int, state: State) -> Iterable[Answer]:
        """Volumes are mounted after a while."""
        due = now + self.latencies.volumes
        return ((due, _bare(_NO_EVENT, due, call.node, call.uid, "volumes-mounted", call.pod, call.container)),)

    def run_sandbox(self, call: Call, now: int, state: State) -> Iterable[Answer]:
        """The sandbox is ready once it is made; its address is the node's next free one."""
        node, attempt = call.node, call.arguments["attempt"]
        cidr = call.arguments.get("pod_cidr") or self.pod_cidrs.get(node) or _cidr(node)
        due = now + self.latencies.sandbox
        made = _addressed(_NO_EVENT, due, node, call.uid, "sandbox-run", call.pod, call.container, attempt, cidr)
        return ((due, made),)

    def stop_sandbox(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """The sandbox is down at once."""
        due = now + self.latencies.sandbox_stop
        yield due, event_of(call, due, "sandbox-stop")

    def pull_image(self, call: Call, now: int, state: State) -> Iterable[Answer]:
        """One pull at a time."""
        image, container = call.arguments["image"], call.arguments["spec"]
        script = self.script(call, container)
        start = max(now, node_of(state).pulling_until)
        taken = self.latencies.failed_pull if script.pull_fails else self.latencies.pull
        if script.pull_after is not None:
            taken = int(script.pull_after * SECOND)
        end = start + taken
        of_it = call.node, call.uid
        about = call.pod, call.container, image
        asked = _asked(_NO_EVENT, now, *of_it, "pull-start" if start == now else "pull-queued", *about, start, end)
        if script.pull_fails:
            return (now, asked), (end, event_of(call, end, "pull-failed", image=image, message=not_found(image)))
        facts = reported_name(image), image_id(image), _SIZE
        return (now, asked), (end, _pulled(_NO_EVENT, end, *of_it, "pull-done", *about, *facts))

    def start_container(self, call: Call, now: int, state: State) -> Iterable[Answer]:
        """The container runs, and later ends if its script says so."""
        container: Container = call.arguments["spec"]
        attempt, image = call.arguments["attempt"], container.image
        script, due = self.script(call, container), now + self.latencies.start
        known = node_of(state).images.get(image)
        started = _started(
            _NO_EVENT,
            due,
            call.node,
            call.uid,
            "container-start",
            call.pod,
            call.container,
            attempt,
            "containerd://" + sha256(f"{call.uid}/{container.name}/{attempt}".encode()).hexdigest(),
            image,
            known.name if known is not None else reported_name(image),
            known.id if known is not None else image_id(image),
        )
        if script.start_fails:
            return ((due, evolve(started, kind="container-start-error", code=128, message=NO_SUCH_FILE)),)
        after, code, reason = _end_of(script, attempt)
        if after is None and not script.memory:
            return ((due, started),)
        answers = [(due, started), *self._memory(call, due, script)]
        if after is not None:
            end, told = due + int(after * SECOND), script.message
            ended = event_of(call, end, "container-exit", attempt=attempt, code=code, reason=reason, message=told)
            answers.append((end, ended))
        return answers

    def _memory(self, call: Call, started: int, script: Script) -> Iterator[Answer]:
        """How much memory the container uses is news for the node; beyond its own limit the kernel ends it."""
        attempt, limit = call.arguments["attempt"], call.arguments["spec"].resources.limits.get("memory")
        for after, used in script.memory:
            due = started + int(after * SECOND)
            if limit is not None and used > limit.value:
                yield due, event_of(call, due, "container-exit", attempt=attempt, code=137, reason="OOMKilled")
                return
            event = event_of(call, due, "container-memory", attempt=attempt, memory=used)
            yield due, evolve(event, pod=("Node", "", call.node))

    def stop_container(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """The pre-stop hook, SIGTERM, and at the end of the grace period SIGKILL."""
        container: Container = call.arguments["spec"]
        script, grace = self.script(call, container), call.arguments["grace"]
        asked = hook_seconds(call.arguments.get("pre_stop"))
        hook = min(asked, grace)
        signal = now + int(hook * SECOND)
        left = max(grace - hook, int(constant("minimum_stop_grace")))
        delay = self.latencies.term / SECOND if script.term_delay is None else script.term_delay
        killed = script.ignores_term or delay > left
        attempt = call.arguments["attempt"]
        end = signal + int((left if killed else delay) * SECOND)
        code = 137 if killed else script.term_code
        yield now, event_of(call, now, "stop-signal", attempt=attempt)
        if asked > grace:
            yield end, event_of(call, end, "hook-failed", attempt=attempt)
        yield end, event_of(call, end, "container-exit", attempt=attempt, code=code)

    def probe(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """The answer depends on how long the container has run."""
        container: Container = call.arguments["spec"]
        kind, attempt = call.arguments["kind"], call.arguments["attempt"]
        probe = dict(probes_of(container)).get(kind)
        runs = pod_of(state, call.uid).containers.get(container.name, ())
        if probe is None or not runs:
            return
        script, age = self.script(call, container), (now - (runs[-1].started_at or now)) / SECOND
        asked = asks(probe, kind)
        good = is_healthy(script, asked, age, pod_of(state, call.uid).load)
        refused = (probe.http_get is not None or probe.tcp_socket is not None) and not script.listens
        text = "" if good and not refused else complaint(probe, asked, refused, ip_of(pod_of(state, call.uid)))
        due = now + self.latencies.probe
        thresholds = {"success": probe.success_threshold or 1, "failure": probe.failure_threshold or 3}
        yield (
            due,
            event_of(
                call, due, "probe", attempt=attempt, probe=kind, ok=good and not refused, message=text, **thresholds
            ),
        )

    def forget_probes(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """The kubelet has forgotten what probes said."""
        yield now, event_of(call, now, "probes-forgotten")

    def remove_container(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """The container is forgotten at once."""
        yield now, event_of(call, now, "container-removed")

    def clean_up_pod(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """Volumes are unmounted after a while."""
        due = now + self.latencies.clean_up
        yield due, event_of(call, due, "volumes-unmounted")

    def load(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """So many requests per second reach the pod from now on."""
        yield now, event_of(call, now, "load", load=call.arguments["load"])

    def remove_pod(self, call: Call, now: int, state: State) -> Iterator[Answer]:
        """The runtime forgets the pod."""
        yield now, event_of(call, now, "pod-removed")


NO_SUCH_FILE: Final = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: error during container init: exec: "nosuch": executable file not found in $PATH'
)
_ANSWERS: Final[Mapping[str, Callable[[ScriptedRuntime, Call, int, State], Iterable[Answer]]]] = {
    "mount-volumes": ScriptedRuntime.mount_volumes,
    "run-sandbox": ScriptedRuntime.run_sandbox,
    "stop-sandbox": ScriptedRuntime.stop_sandbox,
    "pull-image": ScriptedRuntime.pull_image,
    "start-container": ScriptedRuntime.start_container,
    "stop-container": ScriptedRuntime.stop_container,
    "remove-container": ScriptedRuntime.remove_container,
    "probe": ScriptedRuntime.probe,
    "forget-probes": ScriptedRuntime.forget_probes,
    "clean-up-pod": ScriptedRuntime.clean_up_pod,
    "load": ScriptedRuntime.load,
    "remove-pod": ScriptedRuntime.remove_pod,
}


def event_of(call: Call, at: int, kind: str, **fields: Any) -> RuntimeEvent:
    """An event at `at` (ns) that follows from an order."""
    return _maker(*fields)(_NO_EVENT, at, call.node, call.uid, kind, call.pod, call.container, *fields.values())


_NO_EVENT: Final = RuntimeEvent(at=0, node="", uid="", kind="")


@lru_cache
def _maker(*names: str) -> Callable[..., RuntimeEvent]:
    return changer_of(RuntimeEvent, "at", "node", "uid", "kind", "pod", "container", *names)


_SIZE: Final = 1_048_576
"""Bytes of any image."""
_bare: Final = _maker()
_addressed: Final = _maker("attempt", "ip")
_asked: Final = _maker("image", "begins", "ends")
_pulled: Final = _maker("image", "reported_image", "image_id", "size")
_started: Final = _maker("attempt", "id", "image", "reported_image", "image_id")


@lru_cache(maxsize=8192)
def _cidr(node: str) -> str:
    """The pods' network of a node that says none: by the number at the end of its name."""
    match = re.search(r"(\d+)\Z", node)
    number = int(match[1]) - 1 if match is not None else 0
    return pod_network(number)


@lru_cache(maxsize=4096)
def reported_name(image: str) -> str:
    """An image's full name: registry, path and tag."""
    name = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
    head = name.partition("/")[0]
    if "/" not in name:
        return f"docker.io/library/{name}"
    return name if "." in head or ":" in head or head == "localhost" else f"docker.io/{name}"


@lru_cache(maxsize=4096)
def image_id(image: str) -> str:
    """An image's id as a runtime reports it: name and digest."""
    name = reported_name(image)
    bare = name.partition("@")[0].rpartition(":")[0] or name
    return f"{bare}@sha256:{sha256(name.encode()).hexdigest()}"


def not_found(image: str) -> str:
    """The runtime's error for an image that no registry has."""
    name = reported_name(image)
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{name}": '
        f'failed to resolve reference "{name}": {name}: not found'
    )


def _end_of(script: Script, attempt: int) -> tuple[float | None, int, str]:
    """When a run ends (seconds), its exit code and reason."""
    if script.fail_attempts is not None and attempt >= script.fail_attempts:
        return script.then_exit_after, 0, ""
    return script.exit_after, script.exit_code, script.exit_reason


def hook_seconds(hook: Any) -> float:
    """How long a pre-stop hook takes: a sleep its seconds, anything else no time."""
    if hook is None:
        return 0
    if hook.sleep is not None:
        return float(hook.sleep.seconds)
    command: tuple[str, ...] = hook.exec.command if hook.exec is not None else ()
    return float(command[1]) if len(command) > 1 and command[0].endswith("sleep") else 0


def with_images(state: State, images: Mapping[str, int]) -> State:
    """The state of a node that has these images already: name -> size in bytes."""
    node: NodeRuntime = node_of(state)
    known = node.images
    for name in sorted(images):
        known = known.set(name, image_of(reported_name(name), image_id(name), images[name]))
    return state.set(NODE, evolve(node, images=known))
