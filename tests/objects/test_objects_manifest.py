"""YAML manifests: what they say, where they are wrong, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objects_files import json_lines

from k8sfsm.objects import (
    NOTHING,
    Deployment,
    ManifestError,
    ObjectMeta,
    Pod,
    Unmodelled,
    from_json,
    key_of,
    load_yaml,
    to_yaml,
    yamltext,
)
from k8sfsm.objects.yamltext import plain_value

HEAD = "apiVersion: v1\nkind: Pod\n"


def test_documents_and_lists() -> None:
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
---
# nothing
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {k: v}}
---
apiVersion: v1
kind: PodList
items:
- metadata: {name: b}
---
{apiVersion: v1, kind: PodList, items: null}
"""
    objects = load_yaml(text, "web.yaml")
    assert [key_of(obj)[0::2] for obj in objects] == [
        ("Deployment", "web"),
        ("Pod", "a"),
        ("ConfigMap", "c"),
        ("Pod", "b"),
    ]
    deployment = objects[0]
    assert isinstance(deployment, Deployment)
    assert deployment.spec.strategy.rolling_update is not None
    assert deployment.spec.strategy.rolling_update.max_surge == "25%"
    assert load_yaml("") == load_yaml("---\n# x\n") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "spec:\n  priority: high\n", '4:13: spec.priority: found the string "high", expected an integer'),
        (HEAD + "metadata:\n\tname: a\n", "4:1: found a tab, expected spaces"),
        (HEAD + "kind: Pod\n", '3:1: found the key "kind" a second time, expected each key once'),
        (HEAD + "metadata: {labels: {a: b,\n a: c}}\n", '4:2: found the key "a" a second time'),
        ("apiVersion: v1\nmetadata: {}\n", "1:1: kind: found nothing, expected the name of a kind"),
        ("---\nkind: Pod\n", "2:1: apiVersion: found nothing, expected a version"),
        ("kind: [Pod]\napiVersion: v1\n", "1:7: kind: found a list, expected the name of a kind"),
        ("- 1\n", "1:1: the object: found a list, expected an object"),
        ("a: b: c\n", "1:5: mapping values are not allowed here, expected"),
        ("a: [1\nb: 2\n", "2:2: expected ',' or ']'"),
        ("a: 'x\n", "1:4: found the end of the text while scanning a quoted scalar, expected the end of that"),
        ("a: &x [*x]\n", "1:4: found an alias of what it is in"),
        ("!secret x\n", "1:1: found the tag !secret, expected no tag"),
        ("? [a]\n: b\n", "1:3: found a list or map as a key, expected a string"),
        ("a: \x00", "1:1: unacceptable character"),
        ("kind: List\napiVersion: v1\nitems: {}\n", "3:8: items: found an object, expected a list"),
        (
            "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Pod, spec: 1}\n",
            "4:37: spec: found the number 1, expected an object",
        ),
        ("kind: List\napiVersion: v1\nitems:\n- {kind: Pod}\n", "4:3: apiVersion: found nothing, expected a version"),
        (
            HEAD + "spec:\n  containers:\n  - name: a\n    resources: {limits: {cpu: 1x}}\n",
            '6:31: spec.containers[0].resources.limits[cpu]: found the string "1x", expected a quantity',
        ),
        (
            HEAD + "spec:\n  nodeSelector:\n    disk: yes\n",
            "5:11: spec.nodeSelector[disk]: found true, expected a string",
        ),
        (HEAD + "metadata: {<<: 5}\n", "3:16: found something else behind <<, expected a map or a list of maps"),
    ],
    ids=range(21),
)
def test_errors_name_their_place(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as refused:
        load_yaml(text, "web.yaml")
    assert str(refused.value).startswith("web.yaml:" + message)
    assert "\n" not in str(refused.value)


def test_aliases_that_grow_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamltext, "_MOST_VALUES", 10_000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    with pytest.raises(ManifestError, match="more than 10000 values"):
        load_yaml("\n".join(lines))


def test_anchors_and_merges() -> None:
    text = """
apiVersion: v1
kind: Pod
metadata:
  labels: &labels {app: web, tier: a}
  annotations: {<<: *labels, tier: b}
"""
    (pod,) = load_yaml(text)
    assert pod.metadata.annotations == {"app": "web", "tier": "b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1_000", 1000),
        ("08", 8),
        ("1.50", 1.5),
        ("1e3", 1000),
        ("5.", 5),
        ("1e30", 1e30),
        ("1:30", "1:30"),
        ("2026-01-15", "2026-01-15"),
        ("1.2.3", "1.2.3"),
        ("500m", "500m"),
        ("_", "_"),
        ("9" * 200, "9" * 200),
    ],
)
def test_plain_scalars_mean_what_they_mean_to_kubectl(text: str, value: Any) -> None:
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)


def test_recorded_objects_come_back_from_yaml() -> None:
    objects = [from_json(document) for document in json_lines("recorded")[::25]]
    assert load_yaml(to_yaml(objects)) == objects


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=12), min_size=1))
def test_any_text_comes_back_from_yaml(data: dict[str, str]) -> None:
    extra = {"data": data}
    config = Unmodelled(api_version="v1", kind="ConfigMap", metadata=ObjectMeta(name="c"), extra=extra)
    assert load_yaml(to_yaml(config)) == [config]


@given(
    st.sampled_from(
        ["yes", "0644", "1:30", "<<", "null", "1e3", "=", "- a", "a: b", "#x", "a #b", " x", "x ", "'", "|"]
    )
)
def test_ambiguous_texts_are_quoted(text: str) -> None:
    pod = Pod(metadata=ObjectMeta(name=text, labels={text: text}))
    assert load_yaml(to_yaml(pod)) == [pod]


def test_empty_extra_is_nothing() -> None:
    assert load_yaml(HEAD)[0].extra is NOTHING
