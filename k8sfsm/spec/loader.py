"""Finds and reads spec files: one at a time, when first asked for, and only once."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from attrs import evolve

from k8sfsm.spec.amendment import Amendment, active, change
from k8sfsm.spec.check import check_controller, check_machine
from k8sfsm.spec.mistakes import Mistake, Position, SpecError
from k8sfsm.spec.model import Constant, Controller, Invariants, Machine, Room, Scenario, Specs
from k8sfsm.spec.source import Located, plain, read_yaml
from k8sfsm.spec.structure import structure

T = TypeVar("T")

ENVIRONMENT = "K8SFSM_SPECS"
NOT_ROOMS = ("schema", "scenarios")
FILE_TYPES = {"machine.yaml": "machine", "controller.yaml": "controller", "invariants.yaml": "invariants"}
_SCHEMA_LINE = re.compile(r"# yaml-language-server: \$schema=\S*?([\w-]+)\.schema\.json\s*\Z")


def specs_dir() -> Path:
    """The spec directory: `$K8SFSM_SPECS`, else the package's own copy (in a wheel), else the checkout's `specs`."""
    given = os.environ.get(ENVIRONMENT)
    return Path(given) if given else _own_specs()


@cache
def _own_specs() -> Path:
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_specs"
    return shipped if shipped.is_dir() else package.parent / "specs"


def _label(path: Path, root: Path) -> str:
    """The file's name in positions: from the spec directory's own name on, the same on every machine."""
    return (Path(root.name) / path.relative_to(root)).as_posix()


def schema_named(file: Path) -> str | None:
    """The type that a spec file's first line names: `controller` for `...$schema=../schema/controller.schema.json`."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        match = _SCHEMA_LINE.match(lines.readline())
    return match[1] if match else None


def file_type(file: Path) -> str | None:
    """What a file in a room is: by its name, else by its first line. Other types than the model's are its reader's."""
    return FILE_TYPES.get(file.name) or schema_named(file)


def _read(path: Path, root: Path) -> tuple[Located, list[Mistake]]:
    label = _label(path, root)
    try:
        raw, mistakes = read_yaml(path.read_text("utf-8"), label)
    except UnicodeDecodeError:
        raise SpecError([Mistake(Position(label, 1, 1), "the file is no UTF-8 text")]) from None
    for amendment in active(path, root):
        change(raw, amendment.place, amendment.value)
    return raw, mistakes


def _load(path: Path, root: Path, cls: type[T]) -> T:
    raw, mistakes = _read(path, root)
    value, more = structure(raw, cls)
    mistakes += more
    checked: object = value
    if isinstance(value, Controller):
        checked, more = check_controller(value)
        mistakes += more
    elif isinstance(value, Machine):
        checked, more = check_machine(value)
        mistakes += more
    if mistakes or not isinstance(checked, cls):
        raise SpecError(mistakes)
    return checked


# The amendments are arguments so that a file is read once with each set of them.


@cache
def _machine(path: Path, root: Path, amendments: tuple[Amendment, ...]) -> Machine:
    return _load(path, root, Machine)


@cache
def _controller(path: Path, root: Path, amendments: tuple[Amendment, ...]) -> Controller:
    return _load(path, root, Controller)


@cache
def _invariants(path: Path, root: Path, amendments: tuple[Amendment, ...]) -> Invariants:
    return _load(path, root, Invariants)


@cache
def _constants(
    path: Path, root: Path, amendments: tuple[Amendment, ...]
) -> tuple[dict[str, Constant], tuple[Mistake, ...]]:
    """The constants that can be read, and the mistakes in the rest: one bad row does not take the others away."""
    raw, mistakes = _read(path, root)
    constants: dict[str, Constant] = {}
    for name, row in raw.items():
        if not isinstance(row, Located):
            at = raw.value_at[name]
            mistakes.append(Mistake(at, f"'{name}': expected a mapping with the keys value, unit, source, doc"))
            continue
        constant, more = structure(row, Constant)
        mistakes += more
        if constant is not None:
            constants[name] = evolve(constant, value=plain(constant.value), at=raw.key_at[name])
    return constants, tuple(mistakes)


def forget_files() -> None:
    """Read files anew when they are next asked for."""
    for cached in (_machine, _controller, _invariants, _constants):
        cached.cache_clear()


def _files(folder: Path) -> list[Path]:
    """The spec files of a room, `controller.yaml` first, the others by name."""
    return sorted(folder.glob("*.yaml"), key=lambda file: (file.name != "controller.yaml", file.name))


def load_machine(room: str, path: Path | None = None) -> Machine | None:
    """`<room>/machine.yaml`, or None where the room has none. Raises SpecError."""
    root = path or specs_dir()
    file = root / room / "machine.yaml"
    return _machine(file, root, active(file, root)) if file.is_file() else None


def load_tables(room: str, path: Path | None = None) -> dict[str, Controller]:
    """The room's files of tables by file name, `controller.yaml` first. Raises SpecError."""
    root = path or specs_dir()
    files = [file for file in _files(root / room) if file_type(file) == "controller"]
    return {file.name: _controller(file, root, active(file, root)) for file in files}


def load_invariants(room: str, path: Path | None = None) -> Invariants | None:
    """`<room>/invariants.yaml`, or None where the room has none. Raises SpecError."""
    root = path or specs_dir()
    file = root / room / "invariants.yaml"
    return _invariants(file, root, active(file, root)) if file.is_file() else None


def load_constants(path: Path | None = None, *, strict: bool = True) -> dict[str, Constant]:
    """`constants.yaml` by name. Raises SpecError; with `strict` False only where the file is no YAML."""
    root = path or specs_dir()
    file = root / "constants.yaml"
    if not file.is_file():
        return {}
    constants, mistakes = _constants(file, root, active(file, root))
    if strict and mistakes:
        raise SpecError(mistakes)
    return constants


def load_scenario(file: Path, path: Path | None = None) -> Scenario:
    """A scenario's parts, unread. Raises SpecError."""
    return _load(file, path or file.parent, Scenario)


def room_names(path: Path | None = None) -> tuple[str, ...]:
    """The rooms of a spec directory, sorted by name."""
    root = path or specs_dir()
    folders = sorted(child.name for child in root.iterdir() if child.is_dir()) if root.is_dir() else []
    return tuple(name for name in folders if name not in NOT_ROOMS and not name.startswith((".", "_")))


def load_specs(path: str | Path | None = None, rooms: Sequence[str] = ()) -> Specs:
    """Read a whole spec directory (`specs_dir()` when None), or only some `rooms` of it and the constants.

    Every row of the result has its position. Raises SpecError with the mistakes of all files.
    """
    root = Path(path) if path is not None else specs_dir()
    mistakes: list[Mistake] = []
    loaded: dict[str, Room] = {}
    constants: dict[str, Constant] = {}
    if not root.is_dir():
        raise SpecError([Mistake(Position(root.name, 1, 1), "no such directory of specs")])
    for name in rooms or room_names(root):
        try:
            loaded[name] = _room(name, root)
        except SpecError as error:
            mistakes += error.mistakes
    try:
        constants = load_constants(root)
    except SpecError as error:
        mistakes += error.mistakes
    if mistakes:
        raise SpecError(mistakes)
    return Specs(path=str(root), rooms=loaded, constants=constants)


def _room(name: str, root: Path) -> Room:
    """All files of a room; SpecError carries the mistakes of all of them."""
    mistakes: list[Mistake] = []
    machine: Machine | None = None
    tables: dict[str, Controller] = {}
    invariants: Invariants | None = None
    for file in _files(root / name):
        try:
            match file_type(file):
                case "machine":
                    machine = _machine(file, root, active(file, root))
                case "invariants":
                    invariants = _invariants(file, root, active(file, root))
                case "controller":
                    tables[file.name] = _controller(file, root, active(file, root))
        except SpecError as error:
            mistakes += error.mistakes
    if mistakes:
        raise SpecError(mistakes)
    return Room(name=name, machine=machine, tables=tables, invariants=invariants)
