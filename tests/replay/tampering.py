"""Forgeries of recordings: one write dropped, doubled or altered, in one file or consistently in two.

A forgery keeps the form of the files: every line stays JSON of the right shape. What is recorded of the writes is
`watch.jsonl` and `audit.jsonl` of a recording, the lines of an audit log, or the events of a watch.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import zstandard
from attrs import evolve, frozen

Json: TypeAlias = dict[str, Any]
Deed: TypeAlias = Literal["drop", "double", "repeat", "alter"]
"""`double`: the same line twice; `repeat`: once more as a new revision."""
Place: TypeAlias = Literal["watch", "audit", "both"]
Path_: TypeAlias = tuple[str | int, ...]


@frozen(kw_only=True)
class Files:
    """The lines of a recording, in order. `audit` alone: an audit log; `watch` alone: what a watch showed."""

    folder: Path
    namespace: str = ""
    """The namespace that is judged, where it is not all of them."""
    watch: tuple[Json, ...] = ()
    audit: tuple[Json, ...] = ()

    def write(self, target: Path) -> Path:
        """Write the recording; files that are not forged are linked."""
        target.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            link = target / path.name
            if path.name.split(".")[0] not in ("watch", "audit") and not link.exists():
                link.symlink_to(path.resolve())
        for name, lines in (("watch", self.watch), ("audit", self.audit)):
            if lines:
                (target / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return target if self.folder.is_dir() else target / ("audit.jsonl" if self.audit else "watch.jsonl")


@frozen(kw_only=True)
class Forgery:
    """One forgery. `subject`: (kind, name) of the object that was written; `path`: the altered field."""

    deed: Deed
    place: Place
    subject: tuple[str, str]
    files: Files
    number: int
    path: Path_ = ()
    was: Any = None
    is_: Any = None

    def __str__(self) -> str:
        field = ".".join(map(str, self.path))
        what = f" {field} {self.was!r} -> {self.is_!r}" if self.path else ""
        return f"{self.deed} in {self.place}, write {self.number}, {' '.join(self.subject)}{what}"


def read_lines(path: Path) -> tuple[Json, ...]:
    """The values of a `.jsonl.zst` file."""
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    return tuple(json.loads(line) for line in data.decode().splitlines())


def read_files(folder: Path) -> Files:
    """The writes of a recording's folder."""
    watch, audit = (read_lines(folder / f"{name}.jsonl.zst") for name in ("watch", "audit"))
    return Files(folder=folder, watch=watch, audit=audit)


# -- what belongs together ------------------------------------------------------------------------------------------


def is_subject(line: Json, namespace: str) -> bool:
    """Whether an audit line is a write that a namespace's replay judges: of its objects, and one that did something."""
    reference = line["objectRef"]
    empty = line["verb"] == "deletecollection" and not (line.get("responseObject") or {}).get("items")
    return not empty and (not namespace or namespace in (reference.get("namespace"), reference.get("name")))


def pairs(files: Files) -> Iterator[tuple[int | None, int | None]]:
    """(watch line, audit line) of each write that both files have or one has; what was there at the start is none."""
    by_revision = {_revision(line["object"]): i for i, line in enumerate(files.watch) if not line.get("initial")}
    taken: set[int] = set()
    for number, line in enumerate(files.audit):
        if line.get("responseStatus", {}).get("code", 0) >= 300 or not is_subject(line, files.namespace):
            continue
        found = by_revision.get(_revision(line.get("responseObject") or {}))
        if found is None or found in taken:
            found = _by_object(files, line, taken)
        if found is not None:
            taken.add(found)
        yield found, number
    yield from ((i, None) for i, line in enumerate(files.watch) if i not in taken and not line.get("initial"))


def _revision(obj: Json) -> str:
    return str((obj.get("metadata") or {}).get("resourceVersion") or "none")


def _by_object(files: Files, line: Json, taken: set[int]) -> int | None:
    """A line about the same object that fits: the binding of a pod, the removal of an object, a created Event."""
    reference = line["objectRef"]
    for number, seen in enumerate(files.watch):
        obj = seen["object"]
        same = obj["metadata"]["name"] == reference.get("name") and not seen.get("initial") and number not in taken
        if not same or obj["kind"].lower() not in reference["resource"]:
            continue
        if reference.get("subresource") == "binding":
            if seen["type"] == "MODIFIED":
                return number
        elif (line["verb"], seen["type"]) in (("delete", "DELETED"), ("create", "ADDED")):
            return number
    return None


def _subject(files: Files, watch: int | None, audit: int | None) -> tuple[str, str]:
    if watch is not None:
        obj = files.watch[watch]["object"]
        return obj["kind"], obj["metadata"]["name"]
    assert audit is not None
    reference = files.audit[audit]["objectRef"]
    answered = (files.audit[audit].get("responseObject") or {}).get("metadata") or {}
    return reference["resource"], reference.get("name") or answered.get("name", "")


# -- deeds ----------------------------------------------------------------------------------------------------------


def forgeries(files: Files, chance: random.Random, alterations: int) -> Iterator[Forgery]:
    """Every write dropped, doubled and repeated, and with `alterations` altered fields, in every file that has it."""
    for watch, audit in pairs(files):
        subject = _subject(files, watch, audit)
        both = watch is not None and audit is not None
        places: list[Place] = ["watch"] * (watch is not None) + ["audit"] * (audit is not None) + ["both"] * both
        for place in places:
            spot = (watch if place != "audit" else None, audit if place != "watch" else None)
            number = watch if spot[0] is not None else audit
            assert number is not None
            for deed, change in _WHOLE.items():
                forged = evolve(files, watch=change(files.watch, spot[0]), audit=change(files.audit, spot[1]))
                if place == "audit" and deed == "repeat" and not _answers_object(files.audit[number]):
                    continue
                yield Forgery(deed=deed, place=place, subject=subject, files=forged, number=number + 1)
            yield from _altered(files, spot, place, subject, number + 1, chance, alterations)


def _dropped(lines: tuple[Json, ...], number: int | None) -> tuple[Json, ...]:
    return lines if number is None else lines[:number] + lines[number + 1 :]


def _doubled(lines: tuple[Json, ...], number: int | None) -> tuple[Json, ...]:
    return lines if number is None else lines[: number + 1] + lines[number:]


def _repeated(lines: tuple[Json, ...], number: int | None) -> tuple[Json, ...]:
    """The line once more at the end, as the newest revision."""
    if number is None:
        return lines
    line = copy.deepcopy(lines[number])
    for name in ("object", "responseObject"):
        if "resourceVersion" in (line.get(name) or {}).get("metadata", {}):
            line[name]["metadata"]["resourceVersion"] = str(_newest(lines) + 1)
    for name in ("ts", "stageTimestamp", "requestReceivedTimestamp"):
        if name in line:
            line[name] = lines[-1][name] if name in lines[-1] else line[name]
    return (*lines, line)


def _newest(lines: tuple[Json, ...]) -> int:
    found = (_revision(line.get("object") or line.get("responseObject") or {}) for line in lines)
    return max(int(revision) for revision in found if revision.isdigit())


def _answers_object(line: Json) -> bool:
    return _revision(line.get("responseObject") or {}) != "none"


_WHOLE: Final[Mapping[Deed, Callable[[tuple[Json, ...], int | None], tuple[Json, ...]]]] = {
    "drop": _dropped,
    "double": _doubled,
    "repeat": _repeated,
}


def _altered(
    files: Files,
    spot: tuple[int | None, int | None],
    place: Place,
    subject: tuple[str, str],
    number: int,
    chance: random.Random,
    count: int,
) -> Iterator[Forgery]:
    watch, audit = spot
    line = files.watch[watch] if watch is not None else files.audit[audit or 0]
    leaves = [path for path in _leaves(line) if not _is_idle(path)]
    for path in sorted(chance.sample(leaves, min(count, len(leaves))), key=str):
        was = _at(line, path)
        new = other_value(path, was, chance)
        forged = files
        if watch is not None:
            forged = evolve(forged, watch=_with(forged.watch, watch, _put(line, path, new)))
        if audit is not None and place == "audit":
            forged = evolve(forged, audit=_with(forged.audit, audit, _put(line, path, new)))
        elif audit is not None:
            told = files.audit[audit]
            same = [p for p in _leaves(told) if p[-1] == path[-1] and _at(told, p) == was and _alike(p, path)]
            if not same:
                continue  # only one of the files tells this
            for twin in same:
                told = _put(told, twin, new)
            forged = evolve(forged, audit=_with(forged.audit, audit, told))
        yield Forgery(
            deed="alter", place=place, subject=subject, files=forged, number=number, path=path, was=was, is_=new
        )


def _alike(path: Path_, other: Path_) -> bool:
    """Whether two fields, one in an object and one in a request about it, mean the same: their last names agree."""
    names = [[part for part in p if isinstance(part, str)] for p in (path, other)]
    return names[0][-2:] == names[1][-2:] or "responseObject" in names[0]


def _is_idle(path: Path_) -> bool:
    """Fields that tell nothing of the write: how the line was recorded, and what a client says of itself."""
    if path[:2] in (("user", "groups"), ("user", "uid"), ("user", "extra")):
        return True
    return (
        path[0] in IDLE or (path[-1] == "kubectl.kubernetes.io/last-applied-configuration") or "managedFields" in path
    )


IDLE: Final = frozenset(
    {
        "type", "sameSpec", "sameMeta", "userAgent", "requestURI", "requestTrimmed", "responseTrimmed", "auditID",
        "level", "kind", "apiVersion", "sourceIPs", "annotations", "stage",
    }
)  # fmt: skip


def _leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, (*path, name))
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from _leaves(part, (*path, position))
    elif value is not None and path:
        yield path


def _at(value: Any, path: Path_) -> Any:
    for part in path:
        value = value[part]
    return value


def _put(value: Json, path: Path_, new: Any) -> Json:
    made = copy.deepcopy(value)
    _at(made, path[:-1])[path[-1]] = new
    return made


def _with(lines: tuple[Json, ...], number: int, line: Json) -> tuple[Json, ...]:
    return (*lines[:number], line, *lines[number + 1 :])


def other_value(path: Path_, was: Any, chance: random.Random) -> Any:
    """Another value of the same kind: later by minutes, more by one or more, another phase or node, other text."""
    if isinstance(was, bool):
        return not was
    if isinstance(was, int):
        return was + chance.choice((1, 2, 5))
    text = str(was)
    if len(text) >= 20 and text[4] == "-" and text.endswith("Z") and text[10] == "T":
        minute = int(text[14:16])
        return f"{text[:14]}{(minute + chance.choice((2, 5, 9))) % 60:02d}{text[16:]}"
    for choices in _CHOICES:
        if text in choices:
            return chance.choice([choice for choice in choices if choice != text])
    if text.isdigit():
        return str(int(text) + chance.choice((1, 3, 10)))
    return f"{text[:-1]}{'z' if text[-1:] != 'z' else 'y'}"


_CHOICES: Final = (
    ("Pending", "Running", "Succeeded", "Failed"),
    ("True", "False"),
    ("node-1", "node-2", "node-3", "node-4"),
    ("Normal", "Warning"),
)
