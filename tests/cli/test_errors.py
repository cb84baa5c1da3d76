"""Bad input: one clear line on stderr, exit code 2, never a traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sfsm import law
from k8sfsm_cli import main

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDING = CHECKOUT / "examples" / "recordings" / "03-rolling-default"
GOOD = (
    '{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1",'
    '"metadata":{"name":"a","namespace":"x","resourceVersion":"5"}}}\n'
)
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: -1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: app}]}
"""


def k8sfsm(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def the_line(result: Result, code: int = 2) -> str:
    """The only line that a failed command says."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "input"


@pytest.mark.parametrize(
    "command", [("replay",), ("trace", "show"), ("trace", "check"), ("trace", "convert", "--to", "itf")]
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\x00\x01\x02\xff", "found binary data"),
        (b"\xff\xfe{}", "expected UTF-8 text, found byte 0xff"),
        (b"hello\n", "not JSON"),
        (b"[1]\n", "expected a JSON object, found a list"),
        (b"{}\n", "expected a recording's folder"),
        (b"\x1f\x8b\x08\x00cut", "damaged"),
        (GOOD.encode() + GOOD[:40].encode(), "truncated"),
        (b"[" * 100_000, "truncated"),
    ],
)
def test_histories(file: Path, command: tuple[str, ...], content: bytes, said: str) -> None:
    file.write_bytes(content)
    line = the_line(k8sfsm(*command, file))
    assert line.startswith(f"k8sfsm: {file}")
    assert said in line or "nested too deeply" in line


def test_an_object_without_a_kind_in_a_history(file: Path) -> None:
    file.write_text('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n', "utf-8")
    assert "kind" in the_line(k8sfsm("trace", "show", file))


@pytest.mark.parametrize("command", [("replay",), ("trace", "show"), ("run",), ("vectors",)])
def test_a_missing_file(file: Path, command: tuple[str, ...]) -> None:
    assert "no such file" in the_line(k8sfsm(*command, file))


@pytest.mark.parametrize("command", [("replay",), ("trace", "check")])
def test_a_folder_without_a_recording(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "neither watch.jsonl nor audit.jsonl" in the_line(k8sfsm(*command, tmp_path))


def test_vectors_that_are_none(tmp_path: Path) -> None:
    assert the_line(k8sfsm("vectors", tmp_path)).startswith(f"k8sfsm: {tmp_path}: the folder has no vector files")
    vectors = CHECKOUT / "tests" / "data" / "scheduler"
    assert "no target is called nonsense" in the_line(k8sfsm("vectors", vectors, "--target", "nonsense"))
    file = tmp_path / "toleration_taint.jsonl"
    for content in (b"\x00\xff", b'{"in": 1', b"[]\n", b'{"in": {}}\n'):
        file.write_bytes(content)
        assert the_line(k8sfsm("vectors", tmp_path)).startswith(f"k8sfsm: {file}:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\t- b\n", ":2:1: found a tab"),
        ("metadata: {name: a}\n", ":1:1: kind: found nothing, expected the name of a kind"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "kind"),
        ("just words\n", "expected an object"),
        ("a: [1\n", ":2:1: expected ',' or ']'"),
    ],
)
def test_manifests(file: Path, text: str, said: str) -> None:
    file.write_text(text, "utf-8")
    line = the_line(k8sfsm("run", file))
    assert str(file) in line
    assert said in line


def test_negative_replicas(file: Path) -> None:
    """What the API server refuses is told in its words."""
    file.write_text(DEPLOYMENT, "utf-8")
    result = k8sfsm("run", file)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in result.stderr


def test_binary_manifest(file: Path) -> None:
    file.write_bytes(b"\x00\xff\xfe")
    assert str(file) in the_line(k8sfsm("run", file))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--nonsense",), "k8sfsm: no such option '--nonsense' (k8sfsm --help tells more)"),
        (("trace", "--nonsense"), "k8sfsm trace: no such option '--nonsense' (k8sfsm trace --help tells more)"),
        (("nonsense",), "k8sfsm: no such command 'nonsense'"),
        (("replay",), "k8sfsm replay: missing argument 'PATH' (k8sfsm replay --help tells more)"),
        (("replay", "x", "--format", "csv"), "'csv' is not one of"),
        (("trace", "convert", "x"), "missing option '--to'"),
        (("trace", "convert", "x", "--to", "csv"), "'csv' is not one of"),
        (("spec", "show", "Podd"), "did you mean 'Pod"),
        (("spec", "diagram", "Podd"), "did you mean 'Pod'?"),
        (("spec", "--specs", "nowhere", "show"), "'nowhere' does not exist"),
    ],
)
def test_words_that_are_not_known(words: tuple[str, ...], said: str) -> None:
    assert said in the_line(k8sfsm(*words))


def test_a_spec_with_an_unknown_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = tmp_path / "specs"
    shutil.copytree(CHECKOUT / "specs", specs)
    machine = specs / "pod" / "machine.yaml"
    text = machine.read_text("utf-8")
    assert "[not_deleted" in text
    machine.write_text(text.replace("[not_deleted", "[not_deletd"), "utf-8")
    monkeypatch.setenv("K8SFSM_SPECS", str(specs))
    law.forget()
    try:
        line = the_line(k8sfsm("replay", RECORDING))
        assert line == "k8sfsm: unknown guard 'not_deletd' in room 'pod', did you mean 'not_deleted'?"
        result = k8sfsm("spec", "--specs", specs, "lint", "pod")
        assert result.exit_code == 1
        assert "specs/pod/machine.yaml:" in result.stdout
        assert "'not_deletd'" in result.stdout
    finally:
        monkeypatch.undo()
        law.forget()


@pytest.mark.parametrize(
    "text", ["kind: [", "\tkind: Pod", "kind: Pod\nkind: Pod", "kind: Pod\nregionz: {}\n", "- a\n"]
)
def test_specs_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod" / "machine.yaml").write_text(text, "utf-8")
    for words in (("lint",), ("show", "Pod"), ("diagram", "Pod")):
        result = k8sfsm("spec", "--specs", tmp_path, *words)
        assert result.exit_code == 2, words
        assert "machine.yaml:" in result.output
        assert "Traceback" not in result.output


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    out = tmp_path / "no" / "such" / "out.jsonl"
    line = the_line(k8sfsm("trace", "convert", RECORDING, "--to", "k8sfsm", "-O", out))
    assert line == f"k8sfsm: {out}: no such file or directory, expected a readable file"


def test_an_unreadable_file_as_a_program(file: Path) -> None:
    file.write_text(GOOD[:50], "utf-8")
    command = [sys.executable, "-m", "k8sfsm_cli", "trace", "show", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"k8sfsm: {file}:")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [("trace", "show", RECORDING), ("trace", "convert", RECORDING, "--to", "k8sfsm")])
def test_a_reader_who_has_seen_enough(words: tuple[str, ...]) -> None:
    """`k8sfsm ... | head -1`: no word about the closed pipe."""
    with subprocess.Popen(
        [sys.executable, "-m", "k8sfsm_cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert b"Traceback" not in (said := process.stderr.read())
        assert b"Broken" not in said


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c() -> None:
    # A pipe as input that nobody writes to: the program waits in it. A job in the background ignores the signal, and
    # so would what it starts.
    with subprocess.Popen(
        [sys.executable, "-m", "k8sfsm_cli", "run", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - this process has one thread
    ) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        try:
            said = process.communicate(timeout=20)[1].decode()
        finally:
            process.kill()
    assert process.returncode == 130
    assert said.strip().splitlines()[-1:] == ["k8sfsm: interrupted"]
    assert "Traceback" not in said
