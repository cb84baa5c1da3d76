"""The readers under test: each takes a spoilt input, reads it, or says in one line why not."""

from __future__ import annotations

import copy
import io
import json
import random
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
import zstandard
from attrs import evolve

from benchmarks.fuzz_input.mutate import DEEP, spoilt_text, spoilt_value
from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.engine.choices import Seeded
from k8sfsm.machine import Machines
from k8sfsm.objects import ObjectError, from_json, key_of, kind_of_resource, to_json
from k8sfsm.request import Create, Patch, Update
from k8sfsm.scenario.access import Access
from k8sfsm.scenario.loading import is_scenario, read_story
from k8sfsm.scenario.manifests import read_manifests
from k8sfsm.scenario.output import final_objects, write_story_trace
from k8sfsm.scenario.play import Play
from k8sfsm.scenario.state import read_state
from k8sfsm.spec.loader import forget_files, load_constants, load_invariants, load_machine, load_tables
from k8sfsm.store import Store
from k8sfsm.trace.reading import read_history

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_700_000_000_000_000_000
Fuzz = Callable[[random.Random], Any]
"""Makes a spoilt input and reads it. Returns nothing; what it was stands in `LAST`."""
LAST: dict[str, Any] = {}
"""The input of the case under way, to be shown where it fails."""


def _plain(path: Path) -> str:
    raw = path.read_bytes()
    if path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read()
    return raw.decode("utf-8")


@cache
def texts(*patterns: str) -> tuple[str, ...]:
    """The committed files of some patterns, as texts; of long ones, the beginning, cut at a line."""
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())
    whole = [_plain(path) for path in found]
    return tuple(text if len(text) < 60_000 else text[: text.rindex("\n", 0, 60_000) + 1] for text in whole)


@cache
def objects() -> tuple[Any, ...]:
    """Objects of all kinds that the examples have, in JSON form."""
    manifests = [each for text in texts("examples/recordings/*/manifests/*") for each in yaml.safe_load_all(text)]
    final = json.loads(_plain(next(ROOT.glob("examples/recordings/*/final.json*"))))
    listed = [item for name, part in final.items() for item in _listed(name, part)]
    return tuple(each for each in (*manifests, *listed, *_ROLES) if isinstance(each, dict) and "metadata" in each)


def _listed(resource: str, part: Any) -> list[dict[str, Any]]:
    """The objects of one resource, with the kind that they need not say there."""
    known = kind_of_resource(resource)
    head = {"apiVersion": known.api_version, "kind": known.kind} if known is not None else {}
    return [{**head, **item} for item in part] if isinstance(part, list) else []


_GROUP = "rbac.authorization.k8s.io"
_ROLES: tuple[dict[str, Any], ...] = (
    {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": "default"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}],
    },
    {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "b", "namespace": "default"},
        "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "bob"}, {"kind": "ServiceAccount", "name": "web", "namespace": "a"}],
    },
)


@cache
def _server() -> tuple[ApiServer, Store]:
    """An API server with the examples' objects in its store."""
    api, store = ApiServer(Machines.load()), Store.starting_at(0)
    for document in objects():
        try:
            obj = from_json(document)
        except ObjectError:
            continue
        if store.snapshot.get(key_of(obj)) is None:
            store, _ = store.put(obj, NOW)
    return api, store


def _keep(value: Any) -> Any:
    LAST["input"] = value
    return value


def _file(content: str, name: str, read: Callable[[Path], Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        read(path)


def _text(chance: random.Random, *patterns: str) -> str:
    known = texts(*patterns)
    if chance.random() < 0.02:
        return str(_keep(chance.choice("[{-(") * chance.choice((200, 3000, DEEP))))
    return str(_keep(spoilt_text(chance, chance.choice(known), known)))


def manifests(chance: random.Random) -> None:
    """Manifests as `k8sfsm run` takes them: read, then given to the API server."""
    if chance.random() < 0.5:
        text = _text(chance, "examples/recordings/*/manifests/*")
    else:
        document = spoilt_value(chance, chance.choice(objects()))
        dump = json.dumps if chance.random() < 0.5 else yaml.safe_dump
        text = _keep(dump(document))
    api, store = _server()
    for manifest in read_manifests(text, "input"):
        obj = from_json(manifest.document)
        for write in (Create(object=obj), Update(object=obj)):
            api.handle(store, write, Sender("user", "user"), NOW, Seeded(1))


def patches(chance: random.Random) -> None:
    """A patch of each type, to an object that is there."""
    api, store = _server()
    target = chance.choice(tuple(store.snapshot.objects.values()))[1]
    document = to_json(target)
    kind = chance.choice(("json", "merge", "strategic", "apply"))
    body = _operations(chance, document) if kind == "json" else spoilt_value(chance, document)
    if kind != "json" and chance.random() < 0.5:
        body = {name: part for name, part in body.items() if chance.random() < 0.5} if isinstance(body, dict) else body
    subresource = chance.choice(("", "", "", "status", "scale", "ephemeralcontainers", "nonsense"))
    _keep({"key": key_of(target), "type": kind, "subresource": subresource, "body": body})
    write = Patch(key=key_of(target), type=kind, body=body, subresource=subresource, manager="fuzz", force=True)
    for patch in (write, evolve(write, manager=chance.choice(("fuzz", "other", "")), force=False)):
        store = api.handle(store, patch, Sender("user", "user"), NOW, Seeded(1)).store


def _operations(chance: random.Random, document: Any) -> Any:
    paths = _pointers(document, "")
    verbs = ("add", "remove", "replace", "move", "copy", "test")
    made = [
        {"op": chance.choice(verbs), "path": chance.choice(paths), "from": chance.choice(paths), "value": "x"}
        for _ in range(chance.randrange(1, 4))
    ]
    return spoilt_value(chance, made) if chance.random() < 0.7 else made


def _pointers(value: Any, path: str) -> list[str]:
    found = [path, f"{path}/-", f"{path}/0", f"{path}/x"]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        found += _pointers(inner, f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}")
    return found


def scenarios(chance: random.Random) -> None:
    """Scenario files."""
    text = _text(chance, "specs/scenarios/*.yaml")
    if is_scenario(text):
        read_story(text, "input", ROOT / "specs" / "scenarios")


def specs(chance: random.Random) -> None:
    """Spec files of all types."""
    text = _text(
        chance, "specs/*/machine.yaml", "specs/*/invariants.yaml", "specs/podgc/*.yaml", "specs/namespace/*.yaml"
    )
    name = chance.choice(("controller.yaml", "machine.yaml", "invariants.yaml", "constants.yaml"))
    readers: dict[str, Callable[[Path], Any]] = {
        "controller.yaml": lambda root: load_tables("room", root),
        "machine.yaml": lambda root: load_machine("room", root),
        "invariants.yaml": lambda root: load_invariants("room", root),
        "constants.yaml": load_constants,
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "room").mkdir()
        place = root / name if name == "constants.yaml" else root / "room" / name
        place.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            readers[name](root)
        finally:
            forget_files()


def _history(pattern: str) -> Fuzz:
    def fuzz(chance: random.Random) -> None:
        text = texts(pattern)[0]
        lines = text.splitlines()
        start = chance.randrange(max(1, len(lines) - 30))
        part = lines[start : start + chance.choice((3, 10, 30))]
        if chance.random() < 0.6:
            at = chance.randrange(len(part))
            part[at] = json.dumps(spoilt_value(chance, json.loads(part[at])))
            spoilt = "\n".join(part)
        else:
            spoilt = spoilt_text(chance, "\n".join(part), [text])
        _file(_keep(spoilt), "input", read_history)

    return fuzz


@cache
def _trace() -> str:
    """A short story's trace, as `k8sfsm run --trace` writes it."""
    played = Play.of(read_story("manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}]", "story"))
    initial = final_objects(played.engine.store)
    played.run()
    stream = io.StringIO()
    write_story_trace(stream, played, initial, itf=False)
    return stream.getvalue()


def traces(chance: random.Random) -> None:
    """k8sfsm's own traces."""
    lines = _trace().splitlines()
    at = chance.randrange(len(lines))
    if chance.random() < 0.7:
        lines[at] = json.dumps(spoilt_value(chance, json.loads(lines[at])))
        spoilt = "\n".join(lines)
    else:
        spoilt = spoilt_text(chance, "\n".join(lines), lines)
    _file(_keep(spoilt), "input", read_history)


def states(chance: random.Random) -> None:
    """What `kubectl get -o json` printed, with roles, and a question about it."""
    items = [*copy.deepcopy(_ROLES), *copy.deepcopy(chance.sample(objects(), 2))]
    at = chance.randrange(len(items))
    items[at] = spoilt_value(chance, items[at])
    listing: Any = {"apiVersion": "v1", "kind": "List", "items": items}
    text = _keep(json.dumps(spoilt_value(chance, listing) if chance.random() < 0.2 else listing))
    _file(text, "input", lambda path: Access.of(read_state(path)))


TARGETS: dict[str, Fuzz] = {
    "manifests": manifests,
    "patches": patches,
    "scenarios": scenarios,
    "specs": specs,
    "audit": _history("examples/recordings/*/audit.jsonl*"),
    "watch": _history("examples/recordings/*/watch.jsonl*"),
    "traces": traces,
    "states": states,
}
"""What is fuzzed, by name."""
