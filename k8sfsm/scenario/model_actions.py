"""The parts of a scenario that say what users do: one verb of kubectl each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from k8sfsm.spec.mistakes import NOWHERE, Position

VERBS: tuple[str, ...] = (
    "apply",
    "create",
    "delete",
    "scale",
    "image",
    "restart",
    "pause",
    "resume",
    "history",
    "undo",
    "status",
    "label",
    "annotate",
    "patch",
    "debug",
    "cordon",
    "uncordon",
    "drain",
    "taint",
)
"""The members of an Action that are verbs."""


@frozen(kw_only=True)
class ServerSide:
    """`kubectl apply --server-side`: `manager` is --field-manager, `force` --force-conflicts."""

    manager: str = "kubectl"
    force: bool = False
    at: Position = NOWHERE


@frozen(kw_only=True)
class DeleteVerb:
    """`kubectl delete`: `grace` in seconds."""

    object: str
    namespace: str = ""
    propagation: Literal["Background", "Foreground", "Orphan"] = "Background"
    grace: int | None = None
    force: bool = False
    at: Position = NOWHERE


@frozen(kw_only=True)
class ScaleVerb:
    """`kubectl scale`."""

    object: str
    replicas: int
    namespace: str = ""
    current: int | None = None
    at: Position = NOWHERE


@frozen(kw_only=True)
class ImageVerb:
    """`kubectl set image`; container "*": all of them."""

    object: str
    image: str
    container: str = "*"
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class RolloutVerb:
    """`kubectl rollout restart`, `pause`, `resume`, `history`."""

    object: str
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class RevisionVerb:
    """`kubectl rollout undo` and `status`; revision 0: undo takes the one before the latest, status any."""

    object: str
    revision: int = 0
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class MarkVerb:
    """`kubectl label` and `annotate`; null takes a mark away."""

    object: str
    set: Mapping[str, str | None]
    overwrite: bool = False
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class PatchVerb:
    """`kubectl patch`."""

    object: str
    body: Any
    type: Literal["strategic", "merge", "json"] = "strategic"
    subresource: str = ""
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class DebugVerb:
    """`kubectl debug`: an ephemeral `container` in a Pod; `sees`: the container (--target) whose processes it sees."""

    object: str
    image: str
    container: str = "debugger"
    sees: str = ""
    namespace: str = ""
    at: Position = NOWHERE


@frozen(kw_only=True)
class NodeVerb:
    """`kubectl cordon` and `uncordon`."""

    node: str
    at: Position = NOWHERE


@frozen(kw_only=True)
class DrainVerb:
    """`kubectl drain`; the story goes on meanwhile. `timeout`: a duration; 0: for ever."""

    node: str
    force: bool = False
    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    timeout: str = "0s"
    at: Position = NOWHERE


@frozen(kw_only=True)
class TaintVerb:
    """`kubectl taint`: `key=value:Effect` adds a taint, `key:Effect-` takes it away."""

    node: str
    taints: tuple[str, ...]
    overwrite: bool = False
    at: Position = NOWHERE


@frozen(kw_only=True)
class Action:
    """What the user does at a time: exactly one verb. `refused`: a part of the refusal that is expected.

    `server_side`: `apply` is done by the server, which notes who owns which fields.
    """

    at_: Any = "0s"
    user: str = "user"
    refused: str | None = None
    server_side: ServerSide | None = None
    apply: Any = None
    create: Any = None
    delete: DeleteVerb | None = None
    scale: ScaleVerb | None = None
    image: ImageVerb | None = None
    restart: RolloutVerb | None = None
    pause: RolloutVerb | None = None
    resume: RolloutVerb | None = None
    history: RolloutVerb | None = None
    undo: RevisionVerb | None = None
    status: RevisionVerb | None = None
    label: MarkVerb | None = None
    annotate: MarkVerb | None = None
    patch: PatchVerb | None = None
    debug: DebugVerb | None = None
    cordon: NodeVerb | None = None
    uncordon: NodeVerb | None = None
    drain: DrainVerb | None = None
    taint: TaintVerb | None = None
    at: Position = NOWHERE
