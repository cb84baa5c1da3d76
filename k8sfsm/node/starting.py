"""How a kubelet starts containers: sandbox, image, container, one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from k8sfsm.law import Decision, Law
from k8sfsm.node.actions import Actions, ActionsCase, compute
from k8sfsm.node.backoff import backoff_key, backoff_text, kubelet_backoff
from k8sfsm.node.container_status import StartError
from k8sfsm.node.memory import PullBackoff, Work
from k8sfsm.node.references import missing_reference
from k8sfsm.node.reporting import report
from k8sfsm.node.runtime_state import Image, Pull
from k8sfsm.node.session import Session, images_of
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Step

law = Law("kubelet")

_UPPER: Final = re.compile(r"[A-Z]")


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def must_stay_down(session: Session) -> bool:
    """The container crashed, and its back-off is not over."""
    ended = _last_end(session, session.container_name)
    known = session.memory.backoffs.get(backoff_key(session.current))
    return ended is not None and kubelet_backoff(known, ended, session.now) is None


def _last_end(session: Session, name: str) -> int | None:
    """When the newest run ended that had ended before this sync began: one that it killed itself does not count."""
    began = session.memory.work.began
    for run in reversed(session.seen.containers.get(name, ())):
        if run.state == "exited" and run.finished_at is not None and run.finished_at <= began:
            return run.finished_at
    return None


@law.fact
def image_name_valid(session: Session) -> bool:
    """The image's name (its tag and digest aside) is one that a registry could have."""
    return not _UPPER.search(_repository(session.current.image))


@law.fact
def pull_policy(session: Session) -> str:
    """When the image is to be pulled; Always, IfNotPresent or Never."""
    return session.current.image_pull_policy or "IfNotPresent"


@law.fact
def image_present(session: Session) -> bool:
    """The image is on the node."""
    return session.current.image in images_of(session)


@law.fact
def pull_held_back(session: Session) -> bool:
    """The last pull of this image for this pod failed, and its back-off is not over."""
    known = session.memory.pull_backoffs.get(session.current.image)
    return known is not None and session.now - known.since < known.delay


@law.fact
def reference_missing(session: Session) -> bool:
    """A ConfigMap or Secret that the container's environment needs does not exist."""
    return missing_reference(session.view, session.pod, session.current) is not None


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]


# -- a sync's work ----------------------------------------------------------------------------------------------------


@law.action
def act(session: Session, decision: Decision) -> Iterable[Step]:
    """Do what the pod needs, unless it has come to its end."""
    return law.perform(law.decide("work", session), session)  # type: ignore[return-value]


@law.action
def await_end(session: Session, decision: Decision) -> Iterable[Step]:
    """Take the pod down after the next relist."""
    if session.memory.over_at is None:
        session.remember(over_at=session.next_relist)
        session.wake(session.next_relist)
    return ()


@law.action
def order_work(session: Session, decision: Decision) -> Iterable[Step]:
    """Order what the pod needs: kill, sandbox, containers."""
    actions = compute(ActionsCase(session.pod, session.seen))
    session.remember(resync_at=None)
    if actions.idle:
        return ()
    if actions.create_sandbox:
        return _order_sandbox(session, actions)
    if actions.kill_pod:
        return _order_kill(session)
    if actions.kills:
        return _order_stops(session, actions)
    session.remember(work=Work(queue=actions.queue, began=session.now))
    return start_next(session, decision)


def _order_sandbox(session: Session, actions: Actions) -> Iterable[Step]:
    session.remember(work=Work(queue=actions.queue, began=session.now, attempt=actions.attempt))
    return law.perform(law.decide("mount", session), session)  # type: ignore[return-value]


def _order_kill(session: Session) -> Iterable[Step]:
    session.remember(work=Work(doing="kill-pod", since=session.now), ending_since=session.now, stopping=())
    session.remember(grace=_own_grace(session))
    return law.perform(law.decide("kill", session), session)  # type: ignore[return-value]


def _own_grace(session: Session) -> int:
    own = session.pod.spec.termination_grace_period_seconds
    return int(law.constant("default_pod_grace")) if own is None else own


def _order_stops(session: Session, actions: Actions) -> Iterable[Step]:
    names = tuple(kill.name for kill in actions.kills)
    work = Work(doing="stop", queue=actions.queue, since=session.now, began=session.now)
    session.remember(work=work, stopping=names)
    steps: list[Step] = []
    for kill in actions.kills:
        steps.append(session.record("Normal", "Killing", kill.message, kill.name))
        steps.append(stop_call(session, kill.name, _probe_grace(session, kill.name, kill.reason)))
    return steps


def _probe_grace(session: Session, name: str, reason: str) -> int:
    """Seconds for a container that is killed by a probe: the probe's own, else the pod's."""
    container = session.container(name)
    probe = {"LivenessProbe": container.liveness_probe, "StartupProbe": container.startup_probe}.get(reason)
    if probe is not None and probe.termination_grace_period_seconds is not None:
        return probe.termination_grace_period_seconds
    return _own_grace(session)


def stop_call(session: Session, name: str, grace: int) -> Step:
    """The order to stop a container: its pre-stop hook first, then SIGTERM, and SIGKILL after `grace` seconds.

    Without any grace there is no hook. Source: pkg/kubelet/kuberuntime/kuberuntime_container.go: killContainer
    """
    container, run = session.container(name), session.runtime.containers[name][-1]
    hook = container.lifecycle.pre_stop if container.lifecycle is not None and grace > 0 else None
    return session.call("stop-container", name, grace=grace, attempt=run.attempt, spec=container, pre_stop=hook)


@law.action
def report_sandbox(session: Session, decision: Decision) -> Iterable[Step]:
    """Report PodReadyToStartContainers, and nothing else. Source: pkg/kubelet/kubelet.go: OnPodSandboxReady"""
    known = session.memory.generated
    if known is not None:
        conditions = tuple(
            evolve(each, status="True", last_transition_time=session.now - session.now % SECOND)
            if each.type == "PodReadyToStartContainers" and each.status != "True"
            else each
            for each in known.conditions
        )
        report(session, evolve(known, conditions=conditions), decision)
    return ()


@law.action
def work_done(session: Session, decision: Decision) -> Iterable[Step]:
    """What the worker waited for has come."""
    session.remember(work=evolve(session.memory.work, doing="none"))
    return ()


@law.action
def start_next(session: Session, decision: Decision) -> Iterable[Step]:
    """Go on with the next containers of the sync until one has to be waited for, or end the sync."""
    steps: list[Step] = []
    while session.memory.work.doing == "none":
        work = session.memory.work
        if not work.queue:
            return [*steps, *finish_sync(session)]
        session.container_name = work.queue[0]
        session.remember(work=evolve(work, doing="none", name=work.queue[0], queue=work.queue[1:]))
        steps.extend(law.perform(law.decide("start", session), session))  # type: ignore[arg-type]
    return steps


def finish_sync(session: Session) -> Iterable[Step]:
    """The sync is over: look again at once, or after an error later."""
    memory = session.memory
    if not memory.work.failed:
        session.remember(work=Work(), stopping=())
        session.again = True
        return ()
    if memory.synced != session.signature():
        session.remember(held_until=session.next_relist)
        session.wake(session.next_relist)
    again = _retry_at(session)
    session.remember(resync_at=again, work=Work(), stopping=())
    session.wake(again)
    return ()


def _retry_at(session: Session) -> int:
    """When to sync again after an error: when the first crash-loop back-off ends, else after a fixed time."""
    ends = []
    for container in session.containers:
        error = session.memory.start_errors.get(container.name)
        entry = session.memory.backoffs.get(backoff_key(container))
        ended = _last_end(session, container.name)
        if error is None or error.reason != "CrashLoopBackOff" or entry is None or ended is None:
            continue
        ends.append(ended + entry.delay)
    wait = max(min(ends) - session.now, 0) if ends else int(law.constant("sync_retry")) * SECOND
    wait = min(wait, int(law.constant("sync_period")) * SECOND)
    return session.settings.next_try(session.pod.metadata.uid, session.now, wait)


def _refuse(session: Session, reason: str, message: str) -> None:
    """The container could not be started; after an init container that could not, no other one is tried."""
    work, name = session.memory.work, session.container_name
    errors = session.memory.start_errors.set(name, StartError(reason, message))
    stops = session.is_init(name) and session.current.restart_policy != "Always"
    queue = () if stops else work.queue
    session.remember(work=evolve(work, doing="none", failed=True, queue=queue), start_errors=errors)


@law.action
def back_off_start(session: Session, decision: Decision) -> Iterable[Step]:
    """Leave a crashing container down for now."""
    name, pod = session.container_name, session.pod.metadata
    entry = session.memory.backoffs[backoff_key(session.current)]
    full = f"{pod.name}_{pod.namespace}({pod.uid})"
    _refuse(
        session,
        "CrashLoopBackOff",
        f"back-off {backoff_text(entry.delay)} restarting failed container={name} pod={full}",
    )
    message = f"Back-off restarting failed container {name} in pod {full}"
    return (session.record("Warning", "BackOff", message, name),)


@law.action
def get_image(session: Session, decision: Decision) -> Iterable[Step]:
    """Get the container's image; its next back-off is settled now."""
    key, ended = backoff_key(session.current), _last_end(session, session.container_name)
    if ended is not None:
        entry = kubelet_backoff(session.memory.backoffs.get(key), ended, session.now)
        if entry is not None:
            session.remember(backoffs=session.memory.backoffs.set(key, entry))
    return law.perform(law.decide("image", session), session)  # type: ignore[return-value]


@law.action
def refuse_image_name(session: Session, decision: Decision) -> Iterable[Step]:
    """The image's name is not valid."""
    image, name = session.current.image, session.container_name
    message = (
        f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format: '
        f"repository name ({_repository(image)}) must be lowercase"
    )
    _refuse(session, "InvalidImageName", message)
    return (
        session.record("Warning", "InspectFailed", message, name),
        session.record("Warning", "Failed", "Error: InvalidImageName", name),
    )


@law.action
def refuse_missing_image(session: Session, decision: Decision) -> Iterable[Step]:
    """The image is not there and must not be pulled."""
    name = session.container_name
    message = f'Container image "{session.current.image}" is not present with pull policy of Never'
    _refuse(session, "ErrImageNeverPull", message)
    return (
        session.record("Warning", "ErrImageNeverPull", message, name),
        session.record("Warning", "Failed", "Error: ErrImageNeverPull", name),
    )


@law.action
def use_image(session: Session, decision: Decision) -> Iterable[Step]:
    """The image is there: make the container."""
    text = f'Container image "{session.current.image}" already present on machine and can be accessed by the pod'
    record = session.record("Normal", "Pulled", text, session.container_name)
    return (record, *create_container(session, decision))


@law.action
def back_off_pull(session: Session, decision: Decision) -> Iterable[Step]:
    """Do not pull again yet."""
    image, name = session.current.image, session.container_name
    text = f'Back-off pulling image "{image}"'
    _refuse(session, "ImagePullBackOff", f"{text}: ErrImagePull: {session.memory.pull_backoffs[image].message}")
    return (
        session.record("Normal", "BackOff", text, name),
        session.record("Warning", "Failed", "Error: ImagePullBackOff", name),
    )


@law.action
def pull_image(session: Session, decision: Decision) -> Iterable[Step]:
    """Pull the image."""
    image, name = session.current.image, session.container_name
    session.remember(work=evolve(session.memory.work, doing="pull", name=name, since=session.now))
    record = session.record("Normal", "Pulling", f'Pulling image "{image}"', name)
    return (record, session.call("pull-image", name, image=image, spec=session.current))


@law.action
def record_pull(session: Session, decision: Decision) -> Iterable[Step]:
    """Say how long the pull took."""
    session.container_name = session.memory.work.name
    image = session.current.image
    text = pulled_text(image, session.runtime.pulls[image], images_of(session)[image])
    return (session.record("Normal", "Pulled", text, session.container_name),)


def pulled_text(image: str, pull: Pull, found: Image) -> str:
    """What is said of a pull that is done."""
    return _pulled(image, pull.finished_at - pull.started_at, pull.finished_at - pull.asked_at, found.size)


@lru_cache(maxsize=4096)
def _pulled(image: str, took: int, waited: int, size: int) -> str:
    how_long = f"{_short(took)} ({_short(waited)} including waiting)"
    return f'Successfully pulled image "{image}" in {how_long}. Image size: {size} bytes.'


def _short(duration: int) -> str:
    """A duration in whole milliseconds: `503ms`, `1.5s`, `1m2s`."""
    milliseconds = (duration + 500_000) // 1_000_000
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest / 1000:g}s"
    return f"{minutes}m{seconds}" if minutes else seconds


@law.action
def record_pull_failure(session: Session, decision: Decision) -> Iterable[Step]:
    """The pull failed; the next one waits."""
    session.container_name = name = session.memory.work.name
    image = session.current.image
    error = session.runtime.pulls[image].message
    known = session.memory.pull_backoffs.get(image)
    delay = int(law.constant("image_back_off_initial")) * SECOND
    limit = int(law.constant("image_back_off_maximum")) * SECOND
    if known is not None and session.now - known.since <= 2 * limit:
        delay = min(2 * known.delay, limit)
    entry = PullBackoff(delay, session.now, error)
    session.remember(pull_backoffs=session.memory.pull_backoffs.set(image, entry))
    _refuse(session, "ErrImagePull", error)
    return (
        session.record("Warning", "Failed", f'Failed to pull image "{image}": {error}', name),
        session.record("Warning", "Failed", "Error: ErrImagePull", name),
    )


@law.action
def create_container(session: Session, decision: Decision) -> Iterable[Step]:
    """Make the container and start it, if everything that it refers to is there."""
    session.container_name = session.memory.work.name
    return law.perform(law.decide("creation", session), session)  # type: ignore[return-value]


@law.action
def refuse_config(session: Session, decision: Decision) -> Iterable[Step]:
    """Something that the container refers to is missing."""
    found = missing_reference(session.view, session.pod, session.current)
    assert found is not None
    message = f'{found[0].lower()} "{found[1]}" not found'
    name = session.container_name
    _refuse(session, "CreateContainerConfigError", message)
    return (session.record("Warning", "Failed", f"Error: {message}", name),)


@law.action
def start_container(session: Session, decision: Decision) -> Iterable[Step]:
    """Make and start the next run of the container."""
    name, run = session.container_name, session.run(session.container_name)
    attempt = session.runtime.removed.get(name, -1) + 1 if run is None else run.attempt + 1
    work = evolve(session.memory.work, doing="start", name=name, since=session.now, attempt=attempt)
    session.remember(work=work)
    return (session.call("start-container", name, attempt=attempt, spec=session.current),)


@law.action
def record_start(session: Session, decision: Decision) -> Iterable[Step]:
    """The container runs."""
    name = session.memory.work.name
    if name in session.memory.start_errors:
        session.remember(start_errors=session.memory.start_errors.delete(name))
    return (
        session.record("Normal", "Created", "Container created", name),
        session.record("Normal", "Started", "Container started", name),
    )


@law.action
def record_start_failure(session: Session, decision: Decision) -> Iterable[Step]:
    """The container was made, and could not be started."""
    session.container_name = name = session.memory.work.name
    message = session.runtime.containers[name][-1].message
    _refuse(session, "RunContainerError", message)
    return (
        session.record("Normal", "Created", "Container created", name),
        session.record("Warning", "Failed", f"Error: {message}", name),
    )
