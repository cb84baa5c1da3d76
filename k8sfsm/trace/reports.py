"""Laws on Events: their names, counts and objects."""

from __future__ import annotations

from typing import Any, Final

from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.case import Written, law
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import metadata
from k8sfsm.trace.timestamps import format_time, parse_time


def _event(case: Written) -> Json | None:
    write = case.write
    if write.key[0] != "Event" or write.new is None or write.type == "DELETED":
        return None
    return write.new.json


def _about(event: Json) -> Json:
    return event.get("involvedObject") or event.get("regarding") or {}


@law.invariant
def event_named(case: Written) -> str:
    """An Event's name is its object's with the nanosecond at which it was first recorded."""
    event = _event(case)
    if event is None or case.write.type != "ADDED":
        return ""
    name, _, moment = str(metadata(event).get("name")).rpartition(".")
    try:
        nanos = int(moment, 16)
    except ValueError:
        return ""
    if name != _about(event).get("name"):
        return f"it is about {_about(event).get('name')}, and its name says {name}"
    for field, within in (("firstTimestamp", SECOND), ("eventTime", _NAMING)):
        text = event.get(field)
        if text and not -within < parse_time(str(text)) - nanos <= 0:
            return f"{field} is {text}, and its name says {format_time(nanos)}"
    return ""


_NAMING: Final = SECOND // 10
"""ns; the new recorder takes the time of the Event first, and that of its name then."""


@law.invariant
def event_about(case: Written) -> str:
    """An Event is in its object's namespace, and names an object that exists or existed, at a revision that it had."""
    event = _event(case)
    if event is None:
        return ""
    about = _about(event)
    space = about.get("namespace") or "default"
    if space != metadata(event).get("namespace"):
        return f"it is about an object in {space}"
    known = case.past.identities.get(str(about.get("uid")))
    spoken = (about.get("apiVersion"), about.get("kind"), about.get("name"))
    if known is not None and known != (spoken[0] or known[0], *spoken[1:]):
        return f"it is about {' '.join(map(str, spoken))}, but that uid is of {' '.join(map(str, known))}"
    if spoken[1] == "Node" or not about.get("uid"):
        return ""  # kubelets name their node by itself, and the taint eviction controller names pods without uid
    if known is None and (str(spoken[1]), str(spoken[2])) in case.past.names and not case.past.gapped:
        return f"its object {spoken[1]} {spoken[2]} never had the uid {about.get('uid')}"
    return ""


@law.invariant
def event_told(case: Written) -> str:
    """The Event that is stored is the one that was sent: reason, count and object."""
    event, body = _event(case), case.write.body
    if event is None or not isinstance(body, dict) or case.write.inferred:
        return ""
    for name in ("reason", "count", "type", "message", "note"):
        stored: Any = event.get(name, event.get("message") if name == "note" else None)
        if body.get(name) is not None and stored != body[name]:
            return f"{name} is {stored}, and {body[name]} was sent"
    sent, about = _about(body), _about(event)
    for name, value in sent.items():
        if about.get(name) != value:
            return f"it is about {name} {about.get(name)}, and {value} was sent"
    return ""


@law.invariant
def event_counts(case: Written) -> str:
    """An Event begins with the count 1, and counts on by one."""
    event = _event(case)
    if event is None or case.write.type is None:
        return ""
    count = _count(event)
    if case.write.type == "ADDED":
        return "" if count in (None, 1) or case.write.verb != "create" else f"it begins with the count {count}"
    before = None if case.old is None else _count(case.old.json)
    if before is None or count is None or count == before + 1:
        return ""
    return f"count {before} becomes {count}"


def _count(event: Json) -> int | None:
    series = event.get("series") or {}
    found = series.get("count") or event.get("count") or event.get("deprecatedCount")
    return int(found) if found else None


@law.invariant
def event_source(case: Written) -> str:
    """An Event names its reporter: the component twice alike, and the kubelet's node."""
    event, write = _event(case), case.write
    if event is None:
        return ""
    source = event.get("source") or event.get("deprecatedSource") or {}
    component, twin = source.get("component"), event.get("reportingComponent") or event.get("reportingController")
    if component and twin and component != twin:
        return f"it is reported by {component} and by {twin}"
    instance = event.get("reportingInstance")
    if component and "reportingInstance" in event and (instance or "") != (source.get("host") or ""):
        return f"it is reported from {source.get('host') or 'no host'} and from {instance or 'none'}"
    host = source.get("host") or (event.get("reportingInstance") if component == "kubelet" else "")
    if write.actor == "kubelet" and write.node and host and host != write.node:
        return f"it is reported from {host}, and was sent by {write.node}"
    return ""
