"""What holds of Services and their endpoints: in stories, in real histories, and whatever users do."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Patch
from k8sfsm.scenario.loading import load_story
from k8sfsm.scenario.play import Play
from k8sfsm.scenario.user import User
from k8sfsm.spec import specs_dir
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.invariants import Violation, check_convergence, check_safety
from k8sfsm.view import View

ROOT: Final = Path(__file__).resolve().parents[2]
START: Final = 1_700_000_000 * SECOND
KINDS: Final = ("Service", "Endpoints", "EndpointSlice", "MirroredEndpoints")
STORIES: Final = ("service-names", "readiness-gap", "rolling-update")
RECORDINGS: Final = (
    ROOT / "tests/data/recordings/15a-services",
    ROOT / "tests/data/recordings/15b-headless-manual",
    ROOT / "examples/recordings/03-rolling-default",
)


def of_services(found: tuple[Violation, ...]) -> list[str]:
    """The violations that are about Services, one line each."""
    return [str(each) for each in found if each.invariant.partition("/")[0] in KINDS]


def view_of(engine: Engine) -> View:
    return View(engine.now, engine.store.snapshot, store=engine.store)


# -- stories and recordings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_stories_keep_the_laws(name: str) -> None:
    play = Play.of(load_story(specs_dir() / "scenarios" / f"{name}.yaml"))
    checked = play.engine.store.revision
    broken: list[str] = []

    def look(engine: Engine) -> None:
        nonlocal checked
        if engine.store.revision != checked:
            checked = engine.store.revision
            broken.extend(of_services(check_safety(view_of(engine))))

    def trace(line: Line) -> None:
        play.lines.append(line)
        look(play.engine)

    play.engine.tracer = trace
    play.run()
    assert broken == []
    assert of_services(check_convergence(view_of(play.engine))) == []


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda folder: folder.name)
def test_real_histories_keep_the_laws(folder: Path) -> None:
    recording = read_history(folder)
    objects = {document.key: document.typed for document in recording.initial}
    for write in recording.changes():
        if write.type == "DELETED":
            objects.pop(write.key, None)
        elif write.new is not None:
            objects[write.key] = write.new.typed
        if write.key[0] in KINDS:
            assert of_services(check_safety(View.of(objects.values()))) == [], write.line
    assert of_services(check_convergence(View.of(objects.values()))) == []


# -- whatever users do -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def cluster() -> Engine:
    engine = standard_engine(("node-1", "node-2"), ScriptedRuntime(), now=START)
    engine.submit(Create(object=from_json(manifest("Namespace", "default"))))
    for name in ("node-1", "node-2"):
        room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        status = {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
        engine.submit(Create(object=from_json(manifest("Node", name, status=status))))
        engine.submit(Patch(key=("Node", "", name), body={"spec": {"taints": None}}))
    engine.run(until=engine.now + 10 * SECOND)
    return engine


def manifest(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **rest}


def pod(name: str, app: str) -> dict[str, Any]:
    found = manifest("Pod", name, spec={"containers": [{"name": "app", "image": "sim/web:1"}]})
    found["metadata"]["labels"] = {"app": app}
    return found


SPECS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"type": "NodePort"},
    {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]},
    {"type": "LoadBalancer"},
    {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001},
    {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False},
    {"type": "ExternalName", "externalName": "x.org"},
    {"clusterIP": "None"},
    {"clusterIP": "10.96.0.5"},
    {"selector": {"app": "b"}},
    {"selector": None},
    {"publishNotReadyAddresses": True},
    {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]},
)
SUBSETS: Final[tuple[list[dict[str, Any]], ...]] = (
    [],
    [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}],
    [{"addresses": [{"ip": "192.0.2.1"}], "notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 81}]}],
)
NAMES: Final = ("s", "t")
DEEDS: Final = st.one_of(
    st.tuples(st.just("service"), st.sampled_from(NAMES), st.sampled_from(SPECS)),
    st.tuples(st.just("endpoints"), st.sampled_from(NAMES), st.sampled_from(SUBSETS)),
    st.tuples(st.just("pod"), st.sampled_from(("p", "q")), st.sampled_from(("a", "b"))),
    st.tuples(st.just("remove"), st.sampled_from(("service/s", "service/t", "pod/p", "pod/q")), st.none()),
    st.tuples(st.just("remove"), st.sampled_from(("endpoints/s", "endpoints/t")), st.none()),
)


def do(user: User, what: str, name: str, value: Any) -> None:
    if what == "service":
        spec = {"selector": {"app": "a"}, "ports": [{"port": 80}], **value}
        user.apply(manifest("Service", name, spec={field: given for field, given in spec.items() if given is not None}))
    elif what == "endpoints":
        user.apply(manifest("Endpoints", name, subsets=value))
    elif what == "pod":
        user.apply(pod(name, value))
    else:
        user.delete(name)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(deeds=st.lists(st.tuples(DEEDS, st.integers(0, 30)), max_size=12))
def test_whatever_users_do(deeds: list[tuple[tuple[str, str, Any], int]]) -> None:
    engine = cluster().fork()
    user = User(engine)
    for deed, steps in deeds:
        do(user, *deed)
        for _ in range(steps):
            if engine.at_rest:
                break
            engine.step(engine.enabled()[0])
        assert of_services(check_safety(view_of(engine))) == []
    engine.run(until=engine.now + 60 * SECOND)
    for stored in view_of(engine).list("Service"):  # edited Endpoints are repaired when their Service changes next
        touched = {"metadata": {"labels": {"touched": "yes"}}}
        engine.submit(Patch(key=("Service", "default", stored.metadata.name), body=touched))
    engine.run(until=engine.now + 60 * SECOND)
    assert of_services(check_safety(view_of(engine))) == []
    assert of_services(check_convergence(view_of(engine))) == []


# -- what is wrong is noticed ----------------------------------------------------------------------------------------


def service(name: str = "web", **spec: Any) -> Any:
    meta = {"name": name, "namespace": "default", "uid": f"uid-of-{name}"}
    ips = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]} if spec.get("type") != "ExternalName" else {}
    full = {"type": "ClusterIP", "ports": [{"port": 80}], **ips, **spec}
    return from_json({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": full})


def exposed(*numbers: int, called: str = "web", **spec: Any) -> Any:
    ports = [{"port": 80, "nodePort": number} for number in numbers]
    return service(called, **{"type": "NodePort", "ports": ports, "clusterIP": "None", "clusterIPs": ["None"], **spec})


LOCAL: Final[dict[str, Any]] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30002}


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ((service(),), []),
        ((service(), service("other")), ["address-unique"]),
        ((service(), service("other", clusterIP="fd00::7", clusterIPs=["fd00::7", "10.96.0.7"])), ["address-unique"]),
        ((exposed(30001), exposed(30001, called="other")), ["node-port-unique"]),
        ((exposed(30001, 30001), exposed(30002, called="other")), []),
        ((exposed(30001, **LOCAL), exposed(30002, called="other")), ["node-port-unique"]),
        ((exposed(30002, **LOCAL),), ["node-port-unique"]),
        ((exposed(30001, **LOCAL),), []),
        ((exposed(30001, **{**LOCAL, "healthCheckNodePort": 0}),), ["allocated"]),
        ((exposed(30001, healthCheckNodePort=30002),), ["allocated"]),
        ((exposed(0),), ["allocated"]),
        ((exposed(0, **{**LOCAL, "allocateLoadBalancerNodePorts": False}),), []),
        ((service(ports=[{"port": 80, "nodePort": 30001}]),), ["allocated"]),
        ((service(clusterIP="", clusterIPs=[]),), ["allocated"]),
        ((service(clusterIP="10.96.0.8"),), ["allocated"]),
        ((service(type="ExternalName", externalName="x.org"),), []),
        ((service(type="ExternalName", externalName="x.org", clusterIP="10.96.0.7"),), ["allocated"]),
    ],
)
def test_addresses_and_ports(objects: tuple[Any, ...], said: list[str]) -> None:
    found = of_services(check_safety(View.of(objects)))
    assert sorted({line.partition(":")[0].removeprefix("Service/") for line in found}) == said, found


def slice_of(
    manager: str, *addresses: str, owner: str = "uid-of-web", kind: str = "Service", ready: bool = True
) -> Any:
    head = {"apiVersion": "v1", "kind": kind, "name": "web", "uid": owner, "controller": True}
    labels = {"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": manager}
    meta = {"name": "web-1", "namespace": "default", "labels": labels, "ownerReferences": [head]}
    given = [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses]
    whole = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4"}
    return from_json({**whole, "endpoints": given, "ports": []})


OWN: Final = "endpointslice-controller.k8s.io"
MIRROR: Final = "endpointslicemirroring-controller.k8s.io"


def test_slices_without_a_service() -> None:
    chosen = service(selector={"app": "a"})
    assert of_services(check_convergence(View.of([chosen, slice_of(OWN)]))) == []
    assert of_services(check_convergence(View.of([slice_of(OWN, kind="Deployment")]))) != []
    gone = "EndpointSlice/of-a-service: EndpointSlice default/web-1 has no Service"
    assert of_services(check_convergence(View.of([slice_of(OWN)]))) == [gone]
    assert of_services(check_convergence(View.of([chosen, slice_of(OWN, owner="another")]))) == [gone]
    loose = slice_of(OWN)
    loose = evolve(loose, metadata=evolve(loose.metadata, owner_references=()))
    assert of_services(check_convergence(View.of([chosen, loose]))) == [gone]
    assert of_services(check_convergence(View.of([slice_of("somebody")]))) == []


def endpoints(*ready: str, unready: tuple[str, ...] = (), **meta: Any) -> Any:
    subset = {"addresses": [{"ip": ip} for ip in ready], "notReadyAddresses": [{"ip": ip} for ip in unready]}
    return from_json(
        manifest("Endpoints", "web", subsets=[subset]) | {"metadata": {"name": "web", "namespace": "default", **meta}}
    )


def test_copies() -> None:
    alone = service()

    def said(*objects: Any) -> list[str]:
        return [line.removeprefix("MirroredEndpoints/") for line in of_services(check_convergence(View.of(objects)))]

    copy = slice_of(MIRROR, "192.0.2.1", kind="Endpoints")
    assert said(alone, endpoints("192.0.2.1"), copy) == []
    assert said(alone, endpoints("192.0.2.1", "nonsense"), copy) == []
    assert said(alone, endpoints("192.0.2.1")) == [
        "copies-agree: Endpoints default/web: the copies do not agree on 192.0.2.1"
    ]
    more = endpoints("192.0.2.1", "192.0.2.2")
    assert said(alone, more, copy) == ["copies-agree: Endpoints default/web: the copies do not agree on 192.0.2.2"]
    unready = endpoints(unready=("192.0.2.1",))
    assert said(alone, unready, copy) == ["copies-agree: Endpoints default/web: the copies do not agree on 192.0.2.1"]
    assert said(alone, unready, slice_of(MIRROR, "192.0.2.1", kind="Endpoints", ready=False)) == []
    many = endpoints(*(f"10.0.{number // 250}.{number % 250}" for number in range(1000)))
    assert said(alone, many) == []
    orphan = ["copies-of-something: web-1 in default: nothing is to be copied there"]
    assert said(alone, copy) == said(endpoints("192.0.2.1"), copy) == orphan
    assert said(service(selector={"app": "a"}), evolve(endpoints(), subsets=()), copy) == orphan
    skipped = endpoints("192.0.2.1", labels={"endpointslice.kubernetes.io/skip-mirror": "true"})
    assert said(alone, skipped, copy) == orphan
    assert said(alone, skipped) == []
