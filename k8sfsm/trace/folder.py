"""Reads a recording folder: `watch.jsonl` and `audit.jsonl` with `env.jsonl`, `final.json` and `scenario.yaml` beside.

Members may be plain, `.gz` or `.zst`. What the recorder left out because it equals the object's previous line
(`sameSpec`, `sameMeta`) is put back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from k8sfsm.objects import evolve
from k8sfsm.objects.yamltext import YAMLTextError, read_documents
from k8sfsm.request import Key
from k8sfsm.trace.assembly import assemble
from k8sfsm.trace.audit_lines import read_requests
from k8sfsm.trace.environment import complete_images, facts_from_statuses, read_environment
from k8sfsm.trace.errors import Line, TraceError, describe
from k8sfsm.trace.fields import optional, required, time_at
from k8sfsm.trace.history import Document, Recording, began
from k8sfsm.trace.join import Join, Seen
from k8sfsm.trace.lacking import holes_in, notes_of_lacks, older_than
from k8sfsm.trace.lines import Json, Progress, json_lines, open_bytes
from k8sfsm.trace.requests import Request
from k8sfsm.trace.resources import KINDS, VERSIONS, is_deleting, json_key, metadata
from k8sfsm.trace.skeleton import refuse_misshapen
from k8sfsm.trace.timestamps import parse_time

ENDINGS: Final = ("", ".zst", ".gz")
_TYPES: Final = ("ADDED", "MODIFIED", "DELETED")


def member(folder: Path, name: str) -> Path | None:
    """The path of a member of the folder, plain or compressed; None where it has none."""
    return next((path for path in (folder / f"{name}{ending}" for ending in ENDINGS) if path.is_file()), None)


def is_recording(folder: Path) -> bool:
    """Whether a folder holds a recording."""
    return any(member(folder, name) for name in ("watch.jsonl", "audit.jsonl"))


def read_recording(folder: Path, progress: Progress | None = None) -> Recording:
    """Read a recording folder. Raises TraceError."""
    watch, audit = member(folder, "watch.jsonl"), member(folder, "audit.jsonl")
    if watch is None:
        what = "the folder has no watch.jsonl (nor .gz, .zst)"
        raise TraceError(
            Line(str(folder)), what, "give a recording's folder, or an audit log or watch output as a file"
        )
    about = _about(folder)
    spaces = tuple(str(name) for name in about.get("namespaces") or ())
    problems: list[str] = []
    initial, changes = _split(read_watch(watch, spaces, progress, problems))
    requests = sorted(read_requests(audit, progress), key=_when) if audit else []
    join = Join(changes, _made_since(_with_namespaces(requests, changes, spaces), initial))
    writes = assemble(join, initial)
    torn = frozenset(change.line for change in changes if change.torn)
    older = older_than(initial, writes, torn)
    initial += older
    holes = holes_in(writes, damaged=bool(torn or older))
    env = member(folder, "env.jsonl")
    environment = tuple(read_environment(env, progress)) if env else tuple(facts_from_statuses(writes, initial))
    notes = [] if env else ["environment facts are read off the kubelets' status writes (there is no env.jsonl)"]
    notes += [] if audit else ["who wrote is inferred (there is no audit.jsonl)"]
    notes += notes_of_lacks(torn, older, holes)
    guessed = sum(1 for write in writes if write.inferred)
    notes += (
        [f"{guessed} of {len(writes)} writes have no recorded request; their actor is inferred"]
        if guessed and audit
        else []
    )
    return Recording(
        source=str(folder),
        format="recording",
        initial=tuple(initial),
        writes=writes,
        environment=complete_images(environment, writes),
        final=_final(folder),
        start=_earlier(_moment(about.get("start"), None), began(writes)),
        end=_moment(about.get("end"), writes[-1].time if writes else None),
        about=about,
        namespaces=spaces,
        appeared=frozenset(document.key for document in older),
        torn=torn,
        holes=holes,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _when(request: Request) -> tuple[int, int]:
    return (request.completed, request.line.number)


def _made_since(requests: list[Request], initial: list[Document]) -> list[Request]:
    """The requests without those whose changes the objects at the start have already."""
    start = {document.key: document.revision or 0 for document in initial}

    def done(request: Request) -> bool:
        known = start.get(request.key, 0)
        if not request.ok or request.revision is None or request.verb == "deletecollection":
            return False
        changed = request.precondition is not None and request.precondition < request.revision
        return request.revision < known or (request.revision == known and changed)

    return [request for request in requests if not done(request)]


def _split(lines: Iterator[tuple[bool, Seen]]) -> tuple[list[Document], list[Seen]]:
    initial: list[Document] = []
    changes: list[Seen] = []
    for is_initial, seen in lines:
        if is_initial:
            initial.append(seen.document)
        else:
            changes.append(seen)
    changes.sort(key=lambda seen: (seen.revision or 0, seen.line.number))
    return initial, changes


def read_watch(
    path: Path,
    namespaces: tuple[str, ...] = (),
    progress: Progress | None = None,
    problems: list[str] | None = None,
) -> Iterator[tuple[bool, Seen]]:
    """(initial, change) for each line of a `watch.jsonl`, whole again. Keeps one object per live uid in memory.

    `namespaces`: those of the recording; where it is one, trimmed lines without a namespace get it.
    References that no line before can have answered are added to `problems`; a line whose object's line before is not
    there is `torn`.
    """
    restorer = Restorer()
    if problems is not None:
        restorer.problems = problems
    known: dict[Key, Document] = {}
    for place, value in json_lines(path, progress):
        kind = required(place, value, "type", str)
        if kind not in _TYPES:
            raise TraceError(place, f"expected {', '.join(_TYPES)}, found {describe(kind)}", "remove the line", "type")
        obj = required(place, value, "object", dict)
        required(place, obj, "metadata", dict)
        required(place, obj, "kind", str)
        required(place, obj, "metadata.name", str)
        torn = restorer.restore(place, value)
        if value.get("slim") and len(namespaces) == 1 and obj["kind"] in _NAMESPACED:
            obj["metadata"].setdefault("namespace", namespaces[0])
        time = time_at(place, value, "ts")
        if time is None:
            raise TraceError(place, "expected an RFC 3339 time, found nothing", "give the file as recorded", "ts")
        refuse_misshapen(place, obj, "object")
        document = Document(obj)
        seen = Seen(
            line=place,
            time=time,
            type=kind,  # type: ignore[arg-type]
            key=document.key,
            document=document,
            old=known.get(document.key),
            trimmed=torn or bool(value.get("slim")),
            torn=torn,
            shown=time,
        )
        if kind == "DELETED":
            known.pop(document.key, None)
        else:
            known[document.key] = document
        yield bool(value.get("initial")), seen


class Restorer:
    """Puts back what a recorder left out because it equals the object's previous line. One object per uid is kept."""

    def __init__(self) -> None:
        self._previous: dict[str, Json] = {}
        self.problems: list[str] = []
        """References of an object's first line to one before, one text each."""

    def restore(self, place: Line, value: Json) -> bool:
        """Complete the object of a watch line in place. Says whether that could not be done because the line that it
        refers to is not there: what it left out stays out.
        """
        obj = value["object"]
        uid = optional(place, obj["metadata"], "uid", str, "")
        last = self._previous.get(uid)
        lost: list[tuple[str, str]] = []
        for name in optional(place, value, "sameMeta", list, []):
            if last is None or name not in last["metadata"]:
                lost.append(("sameMeta", f"metadata.{name}"))
                continue
            obj["metadata"][name] = last["metadata"][name]
        if value.get("sameSpec"):
            if last is None or "spec" not in last or _respecified(last, obj):
                lost.append(("sameSpec", "spec"))
            else:
                obj["spec"] = last["spec"]
        if uid and value["type"] == "DELETED":
            self._previous.pop(uid, None)
        elif uid:
            known = last is not None and "spec" in last and "spec" not in obj and not lost
            self._previous[uid] = {**obj, "spec": last["spec"]} if known and last is not None else obj
        if value["type"] == "ADDED":
            self.problems += [_dangling(place, obj, field, name) for field, name in lost]
            return False
        return bool(lost)


def _respecified(last: Json, obj: Json) -> bool:
    """Whether a spec was changed between an object's line before that is there, and the one that says that its spec is
    as before: the generation has grown by more than what the line shows itself.
    """
    before, after = metadata(last), metadata(obj)
    if not isinstance(before.get("generation"), int) or not isinstance(after.get("generation"), int):
        return False
    shown = int(is_deleting(obj) and not is_deleting(last))
    shown += int(obj.get("kind") == "Deployment" and before.get("annotations") != after.get("annotations"))
    return int(after["generation"]) - int(before["generation"]) > shown


def _dangling(place: Line, obj: Json, field: str, name: str) -> str:
    kind, space, called = json_key(obj)
    thing = f"{kind} {space}/{called}" if space else f"{kind} {called}"
    return f"{place}: {thing}: {field}: says that {name} is as on the object's line before, and there is none"


def _with_namespaces(requests: list[Request], changes: list[Seen], spaces: tuple[str, ...]) -> list[Request]:
    """Give requests whose recording left out the namespace (slim lines) that of the object with the same revision."""
    by_revision = {seen.revision: seen.key for seen in changes}

    def completed(request: Request) -> Request:
        kind, space, name = request.key
        found = by_revision.get(request.revision)
        if not space and found and found[1] and found[0] == kind and (not name or found[2] == name):
            return evolve(request, key=found)
        if not space and len(spaces) == 1 and kind in _NAMESPACED:
            return evolve(request, key=(kind, spaces[0], name))
        return request

    return [completed(request) for request in requests]


_NAMESPACED: Final = frozenset({"Pod", "ReplicaSet", "Deployment", "Endpoints", "EndpointSlice", "PodDisruptionBudget"})


def _about(folder: Path) -> dict[str, Any]:
    path = member(folder, "scenario.yaml")
    if path is None:
        return {}
    try:
        with open_bytes(path) as source:
            documents = list(read_documents(source.read().decode("utf-8"), ""))
    except UnicodeDecodeError as error:
        raise TraceError(Line(str(path)), f"not YAML ({error})", "correct or delete the file") from error
    except YAMLTextError as error:
        _, line, _, what = str(error).split(":", 3)
        raise TraceError(Line(str(path), int(line)), f"not YAML ({what.strip()})", "correct the file") from error
    value = documents[0].value if documents else None
    if not isinstance(value, dict):
        raise TraceError(Line(str(path)), f"expected a mapping, found {describe(value)}", "correct or delete the file")
    return value


def _moment(text: Any, otherwise: int | None) -> int | None:
    try:
        return parse_time(str(text)) if text else otherwise
    except ValueError:
        return otherwise


def _earlier(told: int | None, seen: int | None) -> int | None:
    """The first moment: a recorder may have been there before it says so."""
    return min((at for at in (told, seen) if at is not None), default=None)


def _final(folder: Path) -> dict[Key, Document] | None:
    path = member(folder, "final.json")
    if path is None:
        return None
    place = Line(str(path))
    with open_bytes(path) as source:
        try:
            value = json.loads(source.read())
        except (ValueError, OSError, EOFError) as error:
            raise TraceError(place, f"not JSON ({error})", "copy the file again, or delete it") from error
    if not isinstance(value, dict):
        raise TraceError(place, f"expected an object of lists, found {describe(value)}", "copy the file again")
    return {key: document for key, document in lists_by_resource(place, value).items() if key[0] != "Event"}


def lists_by_resource(place: Line, value: Json) -> dict[Key, Document]:
    """Objects given as lists by resource (`{"pods": [...]}`); items need not say their kind. Raises TraceError."""
    objects: dict[Key, Document] = {}
    for resource in value:
        for item in optional(place, value, resource, list, []):
            if not isinstance(item, dict):
                raise TraceError(place, f"expected objects, found {describe(item)}", "copy the file again", resource)
            refuse_misshapen(place, item, resource)
            kind = str(item.get("kind") or KINDS.get(resource, resource))
            document = Document(
                {**item, "kind": kind, "apiVersion": item.get("apiVersion") or VERSIONS.get(kind, "v1")}
            )
            objects[json_key(document.json)] = document
    return objects
