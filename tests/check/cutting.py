"""Cuts recorded histories as those are who keep logs: files that begin late, lack a part, or bodies."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k8sfsm.trace.folder import Restorer, member
from k8sfsm.trace.lines import json_lines
from tests.check.forging import DATA

Line = dict[str, Any]
NAMES = ("watch.jsonl", "audit.jsonl", "env.jsonl", "final.json", "scenario.yaml")


def lines(name: str, file: str) -> list[Line]:
    """The lines of a shipped recording's file."""
    path = member(DATA / name, file)
    assert path is not None
    return [value for _, value in json_lines(path)]


def restored(name: str) -> list[Line]:
    """The lines of a shipped recording's watch, each with its whole object."""
    restorer, found = Restorer(), []
    path = member(DATA / name, "watch.jsonl")
    assert path is not None
    for place, value in json_lines(path):
        restorer.restore(place, value)
        found.append({k: copy.deepcopy(v) for k, v in value.items() if k not in ("sameSpec", "sameMeta")})
    return found


def when(line: Line) -> str:
    """The time of a line of any of the files."""
    return str(line.get("ts") or line.get("stageTimestamp"))


class Cut:
    """A shipped recording that is to be written with changed files."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.watch, self.audit, self.env = (lines(name, file) for file in NAMES[:3])
        self.without: tuple[str, ...] = ()

    def written(self) -> Path:
        """The folder with the files as they are now."""
        for file, kept in zip(NAMES, (self.watch, self.audit, self.env), strict=False):
            if file not in self.without:
                (self.folder / file).write_text("".join(json.dumps(line) + "\n" for line in kept))
        for file in NAMES[3:]:
            path = member(DATA / self.name, file)
            if path is not None and file not in self.without:
                (self.folder / path.name).write_bytes(path.read_bytes())
        return self.folder

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Keep the lines of the times that are wanted, and what there was at the start."""
        self.watch = [line for line in self.watch if line.get("initial") or wanted(line["ts"])]
        self.audit = [line for line in self.audit if wanted(when(line))]
        self.env = [line for line in self.env if wanted(line["ts"])]

    def at(self, part: float) -> str:
        """The time at which a part of the changes has been shown."""
        shown = [line for line in self.watch if not line.get("initial")]
        return str(shown[int(len(shown) * part)]["ts"])

    def begin(self, part: float, *, events: bool) -> Cut:
        """Begin later, with a list of what there is then; `events`: Events, too."""
        self.watch, ts = restored(self.name), self.at(part)
        objects: dict[tuple[str, ...], Line] = {}
        for line in self.watch:
            meta, kind = line["object"]["metadata"], line["object"]["kind"]
            key = (kind, meta.get("namespace", ""), meta["name"])
            if (line.get("initial") or line["ts"] < ts) and (events or kind != "Event"):
                objects.pop(key, None)
                if line["type"] != "DELETED":
                    objects[key] = {**line, "type": "ADDED", "initial": True, "ts": ts}
        self.watch = [line for line in self.watch if not line.get("initial")]
        self.keep(lambda moment: moment >= ts)
        self.watch = [*objects.values(), *self.watch]
        self.without = ("scenario.yaml",)
        return self

    def shorten(self, part: float) -> Cut:
        """Leave the first lines of both files away, as they are: by number, not by time."""
        self.watch = self.watch[int(len(self.watch) * part) :]
        self.audit = self.audit[int(len(self.audit) * part) :]
        return self

    def gap(self, since: float, until: float, *, raw: bool = False) -> Cut:
        """Leave out what happened between two moments."""
        self.watch = self.watch if raw else restored(self.name)
        first, last = self.at(since), self.at(until)
        self.keep(lambda moment: not first <= moment < last)
        return self

    def bare(self, part: float, seed: int) -> Cut:
        """Log some requests, chosen at random, at level Metadata."""
        chance = random.Random(seed)
        names = ("requestObject", "responseObject", "requestTrimmed", "responseTrimmed")
        self.audit = [
            {k: v for k, v in line.items() if k not in names} if chance.random() < part else line for line in self.audit
        ]
        return self

    def lose(self, *names: str) -> Cut:
        """Leave files out."""
        self.without = names
        return self
