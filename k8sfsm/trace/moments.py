"""Laws on times: clocks run with the revisions, and an object names no moment that is yet to come."""

from __future__ import annotations

from k8sfsm.law import constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.case import Written, law
from k8sfsm.trace.named import NOW
from k8sfsm.trace.resources import metadata
from k8sfsm.trace.timestamps import format_time, parse_time


@law.invariant
def answered_in_time(case: Written) -> str:
    """An answer follows its request, within the API server's time limit."""
    write = case.write
    if write.received is None or write.completed is None or write.inferred:
        return ""
    taken = write.completed - write.received
    if 0 <= taken <= constant("trace_request_limit") * SECOND:
        return ""
    return f"received at {format_time(write.received)}, answered at {format_time(write.completed)}"


@law.invariant
def seen_in_time(case: Written) -> str:
    """A watch shows a change soon after it was made, and not before the request was received."""
    write = case.write
    if write.shown is None or write.completed is None or write.received is None or write.verb == "deletecollection":
        return ""
    if write.received <= write.shown <= write.completed + constant("trace_watch_lag") * SECOND:
        return ""
    return f"received at {format_time(write.received)}, but a watch showed it at {format_time(write.shown)}"


@law.invariant
def time_follows_revisions(case: Written) -> str:
    """A change is not answered, nor shown, before the request for an earlier change was received."""
    write, past = case.write, case.past
    if write.type is None or write.revision is None or write.derived:
        return ""
    until = None if write.inferred else write.completed
    if until is None or (write.shown is not None and write.shown < until):
        until = write.shown
    if until is not None and past.received > until:
        return f"made by {format_time(until)}, after a change that was asked for at {format_time(past.received)}"
    late = None if write.shown is None else past.shown - write.shown
    if late is not None and late > constant("trace_watch_lag") * SECOND:
        return f"shown at {format_time(write.shown or 0)}, after a change that was shown at {format_time(past.shown)}"
    return ""


@law.invariant
def names_no_future(case: Written) -> str:
    """A new moment that an object names has come, when the object is stored."""
    write = case.write
    if write.new is None or write.type is None or write.derived:
        return ""
    until, shown = write.completed, write.shown
    if until is None or (shown is not None and shown > until):
        until = shown
    if until is None:
        return ""
    for path, text, moment in case.moments:
        if moment > until + SECOND and case.is_fresh(text):
            return f"{path} is {text}, and the write was over at {format_time(until)}"
    return ""


@law.invariant
def names_what_was(case: Written) -> str:
    """The moment of creation, of a deletion, or of an Event that an object names is that of the write."""
    write = case.write
    if write.new is None or write.derived or write.trimmed or write.type not in ("ADDED", "MODIFIED"):
        return ""
    began = write.received if write.received is not None else write.shown
    if began is None:
        return ""
    earliest = began - constant("trace_report_lag") * SECOND
    for path, text, moment in case.moments:
        if moment < earliest and path.rpartition(".")[2] in NOW and case.is_fresh(text):
            return f"{path} is {text}, and the write began at {format_time(began)}"
    return ""


@law.invariant
def created_now(case: Written) -> str:
    """An object is created when its creation says it was."""
    write = case.write
    if write.type != "ADDED" or write.new is None or write.received is None or write.completed is None or write.derived:
        return ""
    text = metadata(write.new.json).get("creationTimestamp")
    if not text or write.received - SECOND <= parse_time(str(text)) <= write.completed:
        return ""
    return f"creationTimestamp is {text}, and it was created by {format_time(write.completed)}"
