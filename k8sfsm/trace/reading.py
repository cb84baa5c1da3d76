"""Reads a history of any format; the format is told by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, get_args

from k8sfsm.trace.audit import read_audit
from k8sfsm.trace.errors import Line, TraceError
from k8sfsm.trace.folder import is_recording, read_recording
from k8sfsm.trace.history import Format, Recording
from k8sfsm.trace.lines import Json, Progress, json_values
from k8sfsm.trace.native import read_trace
from k8sfsm.trace.parts import namespace_part
from k8sfsm.trace.portions import audit_portions
from k8sfsm.trace.watch_output import read_watch_output

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_EXPECTED: Final = (
    "expected a recording's folder, a kube-apiserver audit log, `kubectl get -w -o json` output or a k8sfsm trace"
)


def read_history(
    *paths: str | Path, format: Format | None = None, namespace: str = "", progress: Progress | None = None
) -> Recording:
    """Read files (or one folder) as one history.

    Input: `format` forces a format instead of telling it by content; `namespace` keeps only the part that concerns
    one namespace, with the cluster-scoped objects that its replay needs; `progress(file, lines)` is called now and
    then. Errors: TraceError, whose text is one line.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise TraceError(Line("no input"), _EXPECTED, "name a file or folder")
    chosen = format or detect(files[0])
    if chosen == "audit":
        return read_audit(files, namespace, progress)
    if chosen == "watch":
        recording = read_watch_output(files, progress)
    else:
        if len(files) > 1:
            raise TraceError(Line(str(files[1])), f"one {chosen} is read at a time", "name one path only")
        single: Callable[[Path, Progress | None], Recording] = read_recording if chosen == "recording" else read_trace
        recording = single(files[0], progress)
    return namespace_part(recording, namespace) if namespace else recording


def read_portions(
    *paths: str | Path, format: Format | None = None, namespace: str = "", progress: Progress | None = None
) -> Iterator[Recording]:
    """As `read_history`, in portions: of an audit log never more than a part is in memory. Raises TraceError."""
    files = [Path(path) for path in paths]
    if files and (format or detect(files[0])) == "audit":
        yield from audit_portions(files, namespace, progress)
    else:
        yield read_history(*files, format=format, namespace=namespace, progress=progress)


def detect(path: Path) -> Format:
    """The format of a file or folder. Raises TraceError where it is none of ours."""
    if path.is_dir():
        if is_recording(path):
            return "recording"
        what = "the folder has neither watch.jsonl nor audit.jsonl (nor .gz, .zst)"
        raise TraceError(Line(str(path)), what, "give a recording's folder, or a file")
    for place, value in json_values(path):
        found = format_of(value)
        if found is None:
            raise TraceError(place, f"{_EXPECTED}, found another kind of JSON", "force one with --format")
        return found
    raise TraceError(Line(str(path)), "the file is empty", "check that the recording was finished")


def format_of(value: Json) -> Format | None:
    """The format that a file has whose first value is this; None where it is none of ours."""
    if value.get("format") == "k8sfsm-trace":
        return "k8sfsm"
    if str(value.get("apiVersion", "")).startswith("audit.k8s.io/") or ("verb" in value and "user" in value):
        return "audit"
    if isinstance(value.get("object"), dict) and "type" in value:
        return "watch"
    return "watch" if "kind" in value and ("metadata" in value or "items" in value) else None
