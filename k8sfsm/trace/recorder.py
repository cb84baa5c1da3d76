"""Writes what an engine does as a trace in our own format."""

from __future__ import annotations

from typing import Any, Final

from k8sfsm.engine.line import Line as EngineLine
from k8sfsm.objects import to_json
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, EnvironmentFact, RecordedWrite
from k8sfsm.trace.native import TraceWriter

_HERE: Final = Line("engine")
_OWN: Final = ("container", "attempt", "image", "ip", "code", "reason", "probe", "ok", "image_id")
_FAULT: Final = ("component", "actor", "kind", "duration", "how", "offset")


class TraceRecorder:
    """A tracer for `Engine`: `Engine(..., tracer=TraceRecorder(writer))`."""

    def __init__(self, writer: TraceWriter) -> None:
        self._writer = writer

    def __call__(self, line: EngineLine) -> None:
        """Write one line of the engine."""
        if line.actor == "environment":
            self._writer.fact(_fact(line))
        else:
            self._writer.write(_write(line))


def _fact(line: EngineLine) -> EnvironmentFact:
    own = {name: line.detail[name] for name in _OWN if name in line.detail}
    return EnvironmentFact(
        line=_HERE,
        time=line.at,
        event=line.verb,
        node=line.node,
        pod=line.key if line.key[2] else None,
        uid=str(line.detail.get("uid", "")),
        container_id=str(line.detail.get("id", "")),
        image_reported=str(line.detail.get("reported_image", "")),
        more={name: line.detail[name] for name in _FAULT if name in line.detail},
        **own,
    )


def _write(line: EngineLine) -> RecordedWrite:
    return RecordedWrite(
        line=_HERE,
        request=line.request,
        time=line.at,
        revision=line.revision or None,
        actor=line.actor,
        node=line.node,
        account=line.account,
        verb=line.verb,  # type: ignore[arg-type]
        subresource=line.subresource,
        key=line.key,
        body=line.body,
        code=line.code,
        reason=line.reason,
        message=line.message,
        warnings=line.warnings,
        old=_document(line.before),
        new=_document(line.after),
        type=line.change or None,  # type: ignore[arg-type]
        rule=line.rule,
        facts=line.facts,
        states={move.region: (move.old, move.new) for move in line.moves},
        cause=line.cause or None,
    )


def _document(obj: Any) -> Document | None:
    return None if obj is None else Document(to_json(obj))
