"""Replay: predict a recording from its inputs, and say where the real cluster did otherwise."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from attrs import field, frozen

from k8sfsm.objects import to_json
from k8sfsm.request import Key
from k8sfsm.trace.case import Finding
from k8sfsm.trace.history import Recording
from k8sfsm.trace.integrity import check_integrity
from k8sfsm.verify.replay.compare import (
    Divergence,
    Record,
    compare_existence,
    compare_final,
    compare_tracks,
    paired,
)
from k8sfsm.verify.replay.events import compare_events, events_of
from k8sfsm.verify.replay.fragments import mended
from k8sfsm.verify.replay.inputs import played_actors
from k8sfsm.verify.replay.predict import (
    Prediction,
    Progress,
    assumed_namespaces,
    initial_versions,
    predict,
    recorded_versions,
)
from k8sfsm.verify.replay.proxying import compare_proxy
from k8sfsm.verify.replay.stalls import stalls_of
from k8sfsm.verify.replay.tracks import Version, tracks_of
from k8sfsm.verify.replay.values import compare_values


@frozen
class Verdict:
    """The outcome of a replay. `findings`: where the recording breaks the API server's own laws.

    `prediction` is None where the recording is so damaged that nothing can be predicted; there are findings then.
    """

    recording: Recording
    prediction: Prediction | None
    findings: tuple[Finding, ...] = ()
    divergences: tuple[Divergence, ...] = ()
    compared: dict[str, int] = field(factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether prediction and recording agree in everything that is compared."""
        return not self.findings and not self.divergences


def replay(recording: Recording, progress: Progress | None = None) -> Verdict:
    """Predict a recording from its inputs and compare. Divergences are in order of time.

    A history that breaks the laws is compared all the same, if that can be done.
    """
    findings = (*_unread(recording), *check_integrity(recording))
    try:
        return _compared(mended(recording), findings, progress)
    except Exception:
        if not findings:
            raise
        return Verdict(recording, None, findings)


def _unread(recording: Recording) -> tuple[Finding, ...]:
    """What the reader could not make sense of."""
    return tuple(
        Finding(rule="trace/readable", message=problem, file="", line=0, key=("", "", ""))
        for problem in recording.problems
    )


def _compared(recording: Recording, findings: tuple[Finding, ...], progress: Progress | None) -> Verdict:
    prediction = predict(recording, progress)
    machines = prediction.engine.api.machines
    played = played_actors(prediction.engine)
    initial = initial_versions(recording)
    recorded = (*initial, *recorded_versions(recording))
    predicted = (*initial, *_comparable(prediction.versions(), recording))
    left, right = tracks_of(_states(recorded), machines), tracks_of(_states(predicted), machines)
    start, end = recording.start or 0, recording.end or 0
    ours, theirs = _final_predicted(prediction, recording), _final_recorded(recording)
    record = _record(recording)
    proxied, asked = compare_proxy(recording, predicted)
    found = [
        *_strays(prediction),
        *compare_existence(recorded, predicted),
        *compare_tracks(left, right, record),
        *compare_values(_states(recorded), _states(predicted)),
        *compare_events(events_of(_by(played, recorded), start), events_of(predicted, start), end, record),
        *compare_final(paired(theirs, ours, record), ours, end, prediction.rules),
        *proxied,
    ]
    found.sort(key=lambda divergence: (divergence.at, divergence.key, divergence.aspect))
    compared = {"objects": len(theirs), "tracks": len(left), "writes": len(recorded) - len(initial)}
    compared |= {"proxy": asked} if asked else {}
    return Verdict(recording, prediction, findings, tuple(found), compared)


def _by(actors: Collection[str], versions: tuple[Version, ...]) -> tuple[Version, ...]:
    """The versions that these actors wrote."""
    return tuple(version for version in versions if version.actor in actors)


def _record(recording: Recording) -> Record:
    """How the recording was made, as far as it matters for what can be compared."""
    return Record(
        slim=bool(recording.about.get("slim")),
        exact=recording.format != "watch",
        probes=any(fact.source == "runtime" for fact in recording.environment),
        pods_in_part=any(write.trimmed and write.key[0] == "Pod" for write in recording.changes()),
        stalls=stalls_of(recording),
    )


def _states(versions: tuple[Version, ...]) -> tuple[Version, ...]:
    return tuple(version for version in versions if version.key[0] != "Event")


def _recorded_kinds(recording: Recording) -> frozenset[str]:
    keys = [document.key for document in recording.initial]
    keys += [write.key for write in recording.changes()]
    keys += list(recording.final or ())
    return frozenset(key[0] for key in keys)


def _comparable(versions: tuple[Version, ...], recording: Recording) -> tuple[Version, ...]:
    """The predicted versions of kinds and namespaces that the recording covers."""
    kinds, namespaces, assumed = _recorded_kinds(recording), recording.namespaces, assumed_namespaces(recording)
    told = {write.key[1] for write in recording.changes() if write.key[0] == "Event"}

    def covered(key: Key) -> bool:
        if _assumed(key, assumed):
            return key[0] == "Event" and key[1] in told  # Events about nodes
        return _within(key, namespaces)

    return tuple(version for version in versions if version.key[0] in kinds and covered(version.key))


def _within(key: Key, namespaces: tuple[str, ...]) -> bool:
    return not namespaces or not key[1] or key[1] in namespaces


def _final_recorded(recording: Recording) -> dict[Key, Any]:
    final = recording.final if recording.final is not None else recording.last()
    return {key: to_json(document.typed) for key, document in final.items() if key[0] not in ("Event", "Lease")}


def _assumed(key: Key, namespaces: tuple[str, ...]) -> bool:
    """Whether an object is one of the assumed namespaces, or in one."""
    return (key[2] if key[0] == "Namespace" else key[1]) in namespaces


def _final_predicted(prediction: Prediction, recording: Recording) -> dict[Key, Any]:
    kinds, assumed = _recorded_kinds(recording) - {"Event", "Lease"}, assumed_namespaces(recording)
    snapshot = prediction.engine.store.snapshot
    return {
        key: to_json(obj)
        for key, (_, obj) in snapshot.objects.items()
        if key[0] in kinds and _within(key, recording.namespaces) and not _assumed(key, assumed)
    }


def _strays(prediction: Prediction) -> list[Divergence]:
    """Pods that the recorded scheduler put on a node that was not among the best."""
    return [
        Divergence(
            at=at,
            key=pod,
            aspect="node",
            recorded=node,
            predicted=f"one of {', '.join(best)}",
            rule=prediction.rules.get(pod, ""),
        )
        for at, pod, node, best in prediction.scheduler.strays
    ]
