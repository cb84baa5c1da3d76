"""The JSON schemas, the attrs model and the files in specs/ agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from spec_files import SPECS

from k8sfsm.spec import model
from k8sfsm.spec.loader import schema_named
from k8sfsm.spec.source import read_yaml
from k8sfsm.spec.structure import COMPUTED, keys_of

FILES = sorted(file for file in SPECS.rglob("*.yaml"))
TYPES = ("machine", "controller", "invariants", "constants", "scenario")

OBJECTS = [
    ("machine", "", model.Machine),
    ("machine", "Region", model.Region),
    ("machine", "State", model.State),
    ("machine", "Transition", model.Transition),
    ("controller", "", model.Controller),
    ("controller", "Queue", model.Queue),
    ("controller", "Watch", model.Watch),
    ("controller", "Table", model.Table),
    ("controller", "Rule", model.Rule),
    ("controller", "Comparison", model.Comparison),
    ("controller", "Rank", model.Rank),
    ("invariants", "", model.Invariants),
    ("invariants", "Invariant", model.Invariant),
    ("constants", "Constant", model.Constant),
    ("scenario", "", model.Scenario),
]


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SPECS / "schema" / f"{name}.schema.json").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SPECS).as_posix())
def test_every_file_names_its_schema_and_keeps_it(file: Path) -> None:
    name = schema_named(file)
    assert name is not None
    value, _ = read_yaml(file.read_text("utf-8"), file.name)
    jsonschema.Draft202012Validator(schema(name)).validate(value)


@pytest.mark.parametrize("name", TYPES)
def test_schemas_are_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize(("name", "part", "cls"), OBJECTS, ids=str)
def test_schemas_and_model_have_the_same_fields(name: str, part: str, cls: type) -> None:
    described = schema(name)["$defs"][part] if part else schema(name)
    assert sorted(described["properties"]) == sorted(keys_of(cls))
    required = [each.name.rstrip("_") for each in attrs.fields(cls) if each.default is attrs.NOTHING]
    assert sorted(described["required"]) == sorted(set(required) - COMPUTED)


def test_every_class_of_the_model_is_described() -> None:
    classes = {value for value in vars(model).values() if isinstance(value, type) and attrs.has(value)}
    described = {cls for _, _, cls in OBJECTS}
    assert {cls.__name__ for cls in classes - described} == {"Room", "Specs", "Position"}


BAD = [
    ("machine", {"kind": "Pod"}),
    ("machine", {"kind": "Pod", "regions": {"r": {"states": {}, "transitions": {}}}}),
    ("controller", {"controller": "c", "table": {}}),
    ("controller", {"controller": "c", "tables": {"t": {"hit": "any", "inputs": [], "rules": {"r": {}}}}}),
    ("controller", {"controller": "c", "comparisons": {"k": {"rows": {"r": {"by": "x"}}}}}),
    ("invariants", {"kind": "Pod", "invariants": {"i": {"type": "never", "holds": "x"}}}),
    ("constants", {"a": {"unit": "s"}}),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_schemas_refuse_what_the_loader_refuses(name: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema(name)).validate(value)
