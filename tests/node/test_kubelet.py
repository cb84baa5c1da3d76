"""The kubelet with the scripted runtime: start, probes, restarts, ends."""

from __future__ import annotations

from attrs import evolve
from immutables import Map

from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.scripted import ScriptedRuntime, parse_script
from k8sfsm.node.session import Settings
from k8sfsm.node.status import ReportCase, StatusCase, generate, merged
from k8sfsm.objects import (
    Container,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    Node,
    NodeStatus,
    ObjectMeta,
    PodCondition,
    PodReadinessGate,
    Probe,
    Quantity,
    ResourceRequirements,
    SleepAction,
)
from k8sfsm.objects.durations import SECOND
from tests.node.harness import World, key, pod_named
from tests.node.recordings import lines

OK = Container(name="app", image="sim/ok:1")


def world(*scripts, **settings):
    kubelet = Kubelet("node-1", Settings(node="node-1", host_ip="10.10.0.11", **settings))
    return World(kubelet, ScriptedRuntime(scripts))


def started(container=OK, seconds=3.0, **spec):
    place = world()
    place.put(pod_named("a", [container], **spec))
    place.run(seconds)
    return place


def steps(place):
    """Phase, readiness and first container's state of every status that was written, repeats left out."""
    found = []
    for pod in place.history:
        status = pod.status.container_statuses[0]
        state = "running" if status.state.running else "terminated" if status.state.terminated else "waiting"
        ready = next(each.status for each in pod.status.conditions if each.type == "Ready")
        entry = (pod.status.phase, ready, state, status.restart_count)
        if not found or found[-1] != entry:
            found.append(entry)
    return found


def reasons(place):
    return [record.reason for record in place.events]


def waiting(place):
    return [
        pod.status.container_statuses[0].state.waiting.reason
        for pod in place.history
        if pod.status.container_statuses[0].state.waiting
    ]


def test_start_is_patched_three_times():
    place = started()
    ips = [pod.status.pod_ip for pod in place.history]
    assert ips == ["", "", "10.244.0.2"]
    assert [pod.status.phase for pod in place.history] == ["Pending", "Pending", "Running"]
    sandbox = [
        next(c.status for c in p.status.conditions if c.type == "PodReadyToStartContainers") for p in place.history
    ]
    assert sandbox == ["False", "True", "True"]
    assert reasons(place) == ["Pulling", "Pulled", "Created", "Started"]


def test_graceful_stop_is_that_of_the_recording():
    place = started()
    place.delete(key("a"), 30)
    place.run(0.8)
    assert place.history[-1].status.phase == "Succeeded" and not place.deletes
    place.run(4.2)
    recorded = {}
    for line in lines("02-scale"):
        if line["kind"] == "write" and line["actor"] == "kubelet" and line["object"]["kind"] == "Pod":
            recorded.setdefault(line["object"]["metadata"]["name"], []).append(line["object"]["status"])
    want = [(s["phase"], s["observedGeneration"]) for s in recorded["web-5b4ff4c894-9k8xh"]]
    assert [(p.status.phase, p.status.observed_generation) for p in place.history] == want[: len(place.history)]
    assert place.history[-1].status.phase == "Succeeded"
    assert place.deletes[0].grace_seconds == 0 and place.deletes[0].uid == "uid-a"
    assert key("a") not in place.objects and not place.memory


def test_readiness_probe_turns_the_pod_ready():
    probe = Probe(exec=ExecAction(command=("probe", "ready")), period_seconds=1)
    place = started(Container(name="app", image="sim/ok-ready3s:1", readiness_probe=probe), 8)
    assert steps(place)[-2:] == [("Running", "False", "running", 0), ("Running", "True", "running", 0)]
    assert place.events[-1].message == "Readiness probe failed: ready: not ok\n"


def test_liveness_failure_restarts():
    probe = Probe(exec=ExecAction(command=("probe", "live")), period_seconds=1, failure_threshold=3)
    place = started(Container(name="app", image="sim/unhealthy-after-2s:1", liveness_probe=probe), 8)
    assert steps(place)[1:3] == [("Running", "True", "running", 0), ("Running", "True", "running", 1)]
    killing = next(record for record in place.events if record.reason == "Killing")
    assert killing.message == "Container app failed liveness probe, will be restarted"


def test_startup_probe_holds_readiness_back_and_kills():
    probe = Probe(exec=ExecAction(command=("probe", "startup")), period_seconds=1, failure_threshold=2)
    place = started(Container(name="app", image="sim/slow-start:1", startup_probe=probe, readiness_probe=probe), 6)
    assert not any(ready == "True" for _, ready, _, _ in steps(place))
    assert not any(pod.status.container_statuses[0].started for pod in place.history)
    assert {call.arguments["kind"] for call in place.calls if call.verb == "probe"} == {"startup"}
    assert "Container app failed startup probe, will be restarted" in [record.message for record in place.events]


def asked(place, kind):
    return [call for call in place.calls if call.verb == "probe" and call.arguments["kind"] == kind]


def test_startup_probe_is_not_asked_again():
    probe = Probe(exec=ExecAction(command=("probe", "startup")), period_seconds=1)
    place = started(Container(name="app", image="sim/ok:1", startup_probe=probe), 6)
    assert len(asked(place, "startup")) == 1
    assert place.history[-1].status.container_statuses[0].started


def test_failed_startup_probe_rests_until_the_next_run():
    probe = Probe(exec=ExecAction(command=("probe", "startup")), period_seconds=1, failure_threshold=1)
    place = started(Container(name="app", image="sim/slow-start-ignoreterm:1", startup_probe=probe), 8)
    assert len(asked(place, "startup")) == 1


def test_initial_delay():
    probe = Probe(exec=ExecAction(command=("probe", "ready")), period_seconds=1, initial_delay_seconds=4)
    place = started(Container(name="app", image="sim/ok:1", readiness_probe=probe), 4)
    assert not asked(place, "ready")
    place.run(3)
    assert asked(place, "ready")


def test_only_readiness_is_asked_while_a_pod_ends():
    probe = Probe(exec=ExecAction(command=("probe", "any")), period_seconds=1)
    place = started(Container(name="app", image="sim/slow-stop:1", readiness_probe=probe, liveness_probe=probe), 4)
    place.delete(key("a"), 6)
    ready, live = len(asked(place, "ready")), len(asked(place, "live"))
    place.run(5)
    assert len(asked(place, "ready")) > ready and len(asked(place, "live")) == live


def test_failed_liveness_probe_rests_until_the_next_run():
    probe = Probe(exec=ExecAction(command=("probe", "live")), period_seconds=1, failure_threshold=1)
    container = Container(name="app", image="sim/unhealthy-after-2s-ignoreterm:1", liveness_probe=probe)
    place = started(container, 12)
    failed = [record for record in place.events if record.reason == "Unhealthy"]
    assert len(failed) == 1


def test_stopped_container_is_not_asked():
    probe = Probe(exec=ExecAction(command=("probe", "ready")), period_seconds=1)
    place = started(Container(name="app", image="sim/exit1-after-2s:1", readiness_probe=probe), 6)
    place.run(1)
    runs = [call.arguments["attempt"] for call in asked(place, "ready")]
    place.run(5)
    assert [call.arguments["attempt"] for call in asked(place, "ready")] == runs


def test_crash_loop():
    place = started(Container(name="app", image="sim/exit1-after-1s:1"), 40)
    assert waiting(place).count("CrashLoopBackOff") == 2
    starts = [call.arguments["attempt"] for call in place.calls if call.verb == "start-container"]
    assert starts == [0, 1, 2, 3]


def test_never_restarting_pod_fails_in_two_steps():
    place = started(Container(name="app", image="sim/exit1-after-1s:1"), 6, restart_policy="Never")
    assert steps(place)[-2:] == [("Running", "False", "terminated", 0), ("Failed", "False", "terminated", 0)]
    assert not place.deletes


def test_image_errors():
    place = started(Container(name="app", image="sim/notfound:1"), 30)
    assert waiting(place)[2:5] == ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"]
    assert "BackOff" in reasons(place)
    never = started(Container(name="app", image="sim/x:1", image_pull_policy="Never"))
    assert waiting(never)[-1] == "ErrImageNeverPull"
    bad = started(Container(name="app", image="sim/UPPER:1"))
    assert waiting(bad)[-1] == "InvalidImageName"


def test_start_error_and_missing_config():
    place = started(Container(name="app", image="sim/starterror:1"))
    assert "RunContainerError" in waiting(place)
    never = started(Container(name="app", image="sim/starterror:1"), restart_policy="Never")
    assert never.history[-1].status.container_statuses[0].state.terminated.reason == "StartError"
    reference = ({"configMapRef": {"name": "later"}},)
    place = started(Container(name="app", image="sim/ok:1", env_from=reference))
    assert waiting(place)[-1] == "CreateContainerConfigError"


def test_init_containers_and_sidecars():
    inits = [
        Container(name="first", image="sim/exit0-after-1s:1"),
        Container(name="proxy", image="sim/ok-term1s:1", restart_policy="Always"),
    ]
    place = world()
    place.put(pod_named("a", [OK], inits))
    place.run(8)
    assert place.history[-1].status.phase == "Running"
    assert [each.ready for each in place.history[-1].status.init_container_statuses] == [True, True]
    place.delete(key("a"), 30)
    place.run(5)
    stops = [call.container for call in place.calls if call.verb == "stop-container"]
    assert stops == ["app", "proxy"]


def test_failed_init_container_ends_a_pod_that_never_restarts():
    place = world()
    place.put(pod_named("a", [OK], [Container(name="first", image="sim/exit2-after-1s:1")], restart_policy="Never"))
    place.run(6)
    assert place.history[-1].status.phase == "Failed"


def test_sidecars_are_killed_when_the_work_is_done():
    place = world()
    sidecars = [Container(name=name, image="sim/ok-term1s:1", restart_policy="Always") for name in ("s1", "s2")]
    place.put(pod_named("a", [Container(name="app", image="sim/exit0-after-1s:1")], sidecars, restart_policy="Never"))
    place.run(12)
    assert place.history[-1].status.phase == "Succeeded"
    calls = [(call.verb, call.container) for call in place.calls if call.verb.startswith("stop")]
    assert calls == [("stop-container", "s2"), ("stop-container", "s1"), ("stop-sandbox", "")]
    assert [record.message for record in place.events if record.reason == "Killing"] == [
        "Stopping container s1",
        "Stopping container s2",
    ]
    last_but_one = place.history[-2].status
    assert last_but_one.phase == "Running"
    assert next(c.status for c in last_but_one.conditions if c.type == "PodReadyToStartContainers") == "False"
    assert all(each.state.terminated for each in last_but_one.init_container_statuses)


def test_pre_stop_hook_and_slow_stop():
    hook = Lifecycle(pre_stop=LifecycleHandler(sleep=SleepAction(seconds=2)))
    place = started(Container(name="app", image="sim/slow-stop:1", lifecycle=hook))
    begun = place.now
    place.delete(key("a"), 5)
    place.run(10)
    ended = place.history[-1].status.container_statuses[0].state.terminated
    assert ended.exit_code == 137 and ended.finished_at == begun + 5 * SECOND
    assert place.history[-1].status.phase == "Failed"


def test_force_deleted_pod_is_killed_without_reports():
    place = started()
    written = len(place.history)
    place.remove(key("a"))
    place.run(5)
    assert len(place.history) == written
    assert [call.verb for call in place.calls][-4:] == ["stop-container", "stop-sandbox", "clean-up-pod", "remove-pod"]
    assert not place.memory


def test_pod_deleted_before_anything_ran():
    place = started(Container(name="app", image="sim/notfound:1"))
    place.delete(key("a"), 30)
    place.run(3)
    status = place.history[-1].status
    assert status.phase == "Failed"
    assert status.container_statuses[0].state.terminated.reason == "ContainerStatusUnknown"


def test_containers_behind_an_unfinished_init_container_are_not_lost():
    place = world()
    place.put(pod_named("a", [OK], [Container(name="first", image="sim/notfound:1")]))
    place.run(3)
    place.delete(key("a"), 30)
    place.run(3)
    status = place.history[-1].status
    assert status.phase == "Failed" and status.container_statuses[0].state.waiting
    assert status.init_container_statuses[0].state.terminated.reason == "ContainerStatusUnknown"


def test_disruption_is_reported_with_the_terminal_phase_only():
    pod = pod_named("a", [OK])
    target = PodCondition(type="DisruptionTarget", status="True", reason="TerminationByKubelet")
    ended = evolve(pod.status, phase="Failed", conditions=(target,))

    def kinds(may_run):
        return [each.type for each in merged(ReportCase(pod, ended, may_run), 0).conditions]

    assert kinds(may_run=False) == ["DisruptionTarget"]
    assert kinds(may_run=True) == []


def test_terminal_phase_is_never_left():
    place = started()
    pod, runtime = place.objects[key("a")], place.state["uid-a"]

    def phase(stored, reported):
        shown = evolve(pod, status=evolve(pod.status, phase=stored))
        before = evolve(pod.status, phase=reported)
        return generate(StatusCase(pod=shown, runtime=runtime, reported=before, now=place.now)).phase

    assert phase("Running", "Running") == "Running"
    assert phase("Failed", "Running") == "Failed"
    assert phase("Running", "Succeeded") == "Succeeded"


def test_pod_first_seen_when_already_deleted():
    place = world()
    pod = pod_named("a", [OK])
    meta = evolve(pod.metadata, deletion_timestamp=place.now, deletion_grace_period_seconds=30, generation=2)
    place.put(evolve(pod, metadata=meta))
    place.run(3)
    assert place.deletes and not any(call.verb == "run-sandbox" for call in place.calls)


def test_pull_goes_on_after_a_deletion_and_the_container_is_stopped():
    place = started(Container(name="app", image="sim/pull9s:1"), 1)
    place.delete(key("a"), 30)
    place.run(3)
    assert not place.deletes
    place.run(10)
    assert place.deletes
    reasons = [record.reason for record in place.events]
    assert reasons == ["Pulling", "Pulled", "Created", "Started", "Killing"]


def _node(cpu="1", labels=None):
    meta = ObjectMeta(name="node-1", labels=labels or {})
    room = {"cpu": Quantity.parse(cpu), "memory": Quantity.parse("1Gi"), "pods": Quantity.parse("10")}
    return Node(metadata=meta, status=NodeStatus(capacity=room, allocatable=room))


def test_admission():
    place = world()
    place.put(_node(), wake=False)
    asks = ResourceRequirements(requests={"cpu": Quantity.parse("700m")})
    place.put(pod_named("a", [evolve(OK, resources=asks)]))
    place.run(2)
    place.put(pod_named("b", [evolve(OK, resources=asks)]))
    place.put(pod_named("c", [OK], node_selector={"disk": "ssd"}))
    place.run(2)
    less = ResourceRequirements(requests={"cpu": Quantity.parse("300m")})
    place.put(pod_named("d", [evolve(OK, resources=less)]))
    place.run(2)
    last = {pod.metadata.name: pod.status for pod in place.history}
    assert last["b"].reason == "OutOfcpu"
    assert last["b"].message == (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 700, used: 700, capacity: 1000"
    )
    assert last["c"].reason == "NodeAffinity" and last["a"].phase == "Running"
    assert last["d"].phase == "Running"  # what was rejected holds nothing


def test_status_that_somebody_changed_is_restated():
    place = started()
    pod = place.objects[key("a")]
    conditions = tuple(evolve(c, status="False") if c.type == "Ready" else c for c in pod.status.conditions)
    place.put(evolve(pod, status=evolve(pod.status, conditions=conditions)))
    place.run(1)
    now = place.objects[key("a")].status.conditions
    assert next(c.status for c in now if c.type == "Ready") == "True"


def test_readiness_gate():
    gate = PodReadinessGate(condition_type="example.com/a")
    place = started(OK, readiness_gates=(gate,))
    ready = next(c for c in place.history[-1].status.conditions if c.type == "Ready")
    assert ready.reason == "ReadinessGatesNotReady"


def test_deadline():
    place = started(OK, 3, active_deadline_seconds=2)
    place.at(place.now, key("a"))
    place.run(3)
    assert place.history[-1].status.reason == "DeadlineExceeded"


def test_node_registers_turns_ready_and_renews_its_lease():
    place = world(labels={"topology.kubernetes.io/zone": "a"})
    place.at(place.now, ("Node", "", "node-1"))
    place.run(31)
    node = place.objects["Node", "", "node-1"]
    assert next(c.status for c in node.status.conditions if c.type == "Ready") == "True"
    lease = place.objects["Lease", "kube-node-lease", "node-1"]
    assert lease.spec.renew_time >= place.now - 11 * SECOND
    place.run(300)
    beats = [c.last_heartbeat_time for c in place.objects["Node", "", "node-1"].status.conditions]
    assert min(beats) > node.status.conditions[0].last_heartbeat_time
    place.remove(("Node", "", "node-1"))
    place.run(20)
    assert ("Node", "", "node-1") not in place.objects


def test_second_pod_of_a_name_does_not_wait_for_the_first():
    place = started(Container(name="app", image="sim/slow-stop:1"))
    place.remove(key("a"))
    twin = pod_named("a", [OK])
    place.put(evolve(twin, metadata=evolve(twin.metadata, uid="uid-b")))
    place.run(0.7)
    place.run(5)
    assert place.history[-1].metadata.uid == "uid-b" and place.history[-1].status.phase == "Running"


def test_scripts():
    assert parse_script("exit 1 after 2s, never ready").ready_after is None
    place = world(("a", "*", "exit 3 after 1s"))
    place.put(pod_named("a", [Container(name="app", image="nginx")], restart_policy="Never"))
    place.run(5)
    assert place.history[-1].status.container_statuses[0].state.terminated.exit_code == 3
    assert place.history[-1].status.container_statuses[0].image == "docker.io/library/nginx:latest"
    assert isinstance(place.memory, Map)


def test_what_others_say_of_a_disruption_stands_while_the_pod_goes_on():
    theirs = PodCondition(type="DisruptionTarget", status="True", reason="EvictionByEvictionAPI")
    own = PodCondition(type="DisruptionTarget", status="True", reason="TerminationByKubelet")
    pod = pod_named("a", [OK])
    stored = evolve(pod, status=evolve(pod.status, phase="Running", conditions=(theirs,)))
    status = evolve(pod.status, phase="Running", conditions=(own,))
    sent = merged(ReportCase(stored, status, True), 0)
    assert [each.reason for each in sent.conditions] == ["EvictionByEvictionAPI"]
