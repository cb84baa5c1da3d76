"""Files, JSON, times and fields: what is read, and what bad input is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.trace.errors import Line, TraceError, describe
from k8sfsm.trace.fields import optional, required, time_at
from k8sfsm.trace.lines import json_lines, json_values
from k8sfsm.trace.merge import apply_merge, merge_patch
from k8sfsm.trace.reading import detect, read_history
from k8sfsm.trace.timestamps import format_time, parse_time

File = Callable[..., Path]
DATA = b'{"a": 1}\n\n{"a": 2}\n'
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress], ids=["plain", "gzip", "zstd"]
)
def test_lines_are_read_whatever_the_compression(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(DATA))
    assert [(place.number, value) for place, value in json_lines(path)] == [(1, {"a": 1}), (3, {"a": 2})]


def test_progress_is_told_at_the_end(lines_file: File) -> None:
    told: list[tuple[str, int]] = []
    path = lines_file(*({"n": n} for n in range(2500)))
    assert len(list(json_lines(path, lambda file, lines: told.append((file, lines))))) == 2500
    assert told == [(str(path), 1000), (str(path), 2000), (str(path), 2500)]


@given(st.lists(OBJECTS, min_size=1, max_size=5), st.sampled_from([None, 0, 2, 4]))
def test_values_are_found_however_they_are_laid_out(tmp_path_factory: pytest.TempPathFactory, values, indent) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("values") / "values.json"
    text, starts = "", []
    for value in values:
        starts.append(text.count("\n") + 1)
        text += json.dumps(value, indent=indent) + "\n"
    path.write_text(text)
    found = list(json_values(path))
    assert [value for _, value in found] == values
    assert [place.number for place, _ in found] == starts


def test_values_may_share_a_line(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_text('{"a":1}{"b":2} {\n"c":3}')
    assert [value for _, value in json_values(path)] == [{"a": 1}, {"b": 2}, {"c": 3}]


def told(path: Path, read: Callable[[Path], object]) -> str:
    with pytest.raises(TraceError) as caught:
        result = read(path)
        list(result) if hasattr(result, "__next__") else None  # type: ignore[call-overload]
    text = str(caught.value)
    assert "\n" not in text and text.startswith(str(path))
    return text.removeprefix(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file is empty; "),
        (b"\n\n", ": the file is empty; "),
        (b'{"a": 1}\n{"a": \n', ":2: the JSON ends in the middle (truncated line); "),
        (b'{"a": 1}\n{"a": "b', ":2: the JSON ends in the middle (truncated line); "),
        (b'{"a" 1}\n', ":1: not JSON at column 6"),
        (b"[1]\n", ":1: expected a JSON object, found a list; "),
        (b'{"a": 1}\n\x00\x01\n', ":2: expected text, found binary data; "),
        (b"\xff\xfe{}\n", ":1: expected UTF-8 text, found byte 0xff at column 1; "),
        (b"\x1f\x8b\x08\x00garbage", ":1: the compressed data is damaged"),
        (b"\x28\xb5\x2f\xfdgarbage", ":1: the compressed data is damaged"),
        (gzip.compress(DATA * 100, mtime=0)[:-20], "the compressed data is damaged"),
        (b"[" * 100_000 + b"\n", ":1: the JSON "),
    ],
)
def test_bad_files_are_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    assert message in told(path, json_lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n "a": {\n', ":1: the JSON ends in the middle (truncated value); "),
        (b'{"a": 1}\n{\n "a" 1\n}\n', ":3: not JSON at column 6"),
        (b"[1]", ":1: expected a JSON object, found a list; "),
        (b" ", ": the file is empty; "),
    ],
)
def test_bad_values_are_told_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    assert message in told(path, json_values)


def test_missing_input(tmp_path: Path) -> None:
    assert ": no such file; check the path" in told(tmp_path / "none", read_history)
    assert ": the folder has neither watch.jsonl nor audit.jsonl" in told(tmp_path, read_history)
    with pytest.raises(TraceError, match="no input: expected a recording's folder"):
        read_history()
    (tmp_path / "audit.jsonl").write_text("{}\n")
    assert ": the folder has no watch.jsonl" in told(tmp_path, read_history)


def test_unknown_formats(lines_file: File) -> None:
    path = lines_file({"hello": "world"})
    assert ":1: expected a recording's folder, a kube-apiserver audit log" in told(path, detect)
    assert "--format" in told(path, read_history)
    with pytest.raises(TraceError, match="expected a string, found nothing"):
        read_history(path, format="audit")


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-23T03:49:38.576432Z", 1795405778576432000),
        ("2026-11-23T03:49:38.576432123Z", 1795405778576432123),
        ("2026-11-23T05:49:38+02:00", 1795405778000000000),
        ("2026-11-23T01:19:38-02:30", 1795405778000000000),
    ],
)
def test_times_are_read(text: str, nanos: int) -> None:
    assert parse_time(text) == nanos


@given(st.integers(0, 2**62))
def test_times_are_written_and_read_back(nanos: int) -> None:
    assert parse_time(format_time(nanos, 9)) == nanos
    assert parse_time(format_time(nanos, 0)) == nanos // 10**9 * 10**9


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-23", "2026-13-01T00:00:00Z", "2026-11-23T03:49:38"])
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


def test_fields_have_types() -> None:
    place, value = Line("f", 7), {"a": {"b": "x", "n": 3, "t": True}, "l": []}
    assert optional(place, value, "a.b", str) == "x"
    assert optional(place, value, "a.none.deeper", str, "d") == "d"
    for path, kind, message in [
        ("a.b", int, "f:7: a.b: expected a whole number, found a string 'x'"),
        ("a.t", int, "f:7: a.t: expected a whole number, found a boolean True"),
        ("l.x", str, "f:7: l: expected an object, found a list"),
        ("a.c", str, "f:7: a.c: expected a string, found nothing"),
    ]:
        with pytest.raises(TraceError) as caught:
            required(place, value, path, kind)
        assert str(caught.value).startswith(message)
    with pytest.raises(TraceError, match=r"f:7: a\.b: expected an RFC 3339 time, found a string 'x'"):
        time_at(place, value, "a.b")
    assert describe(None) == "null"


@given(OBJECTS, OBJECTS)
def test_merge_patches_lead_from_old_to_new(old, new) -> None:  # type: ignore[no-untyped-def]
    patch = merge_patch(old, new)
    found = apply_merge(old, patch)
    assert found == new or "null" in json.dumps(new)
    assert merge_patch(new, new) == {}
