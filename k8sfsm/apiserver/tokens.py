"""Tokens of service accounts: what they claim, who gets one, and whether one is good.

A token has the form of a JSON web token. Its signature is a checksum with a known key: it tells a token of this model
from others and keeps nothing secret.
Source: pkg/serviceaccount/claims.go, jwt.go; pkg/registry/core/serviceaccount/storage/token.go.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.rbac.users import ACCOUNT_PREFIX, User, user_of
from k8sfsm.law import Law, constant
from k8sfsm.objects import KINDS
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.times import format_time
from k8sfsm.store import Snapshot
from k8sfsm.value import value

law = Law("serviceaccounttoken")

ISSUER: Final = "https://kubernetes.default.svc"
HOUR: Final = 3600
YEAR: Final = 365 * 24 * HOUR
LEEWAY: Final = 60
"""Seconds for which a token outlives the deletion of what it is bound to."""
_KEY: Final = b"k8sfsm"
_BOUND: Final = ("Pod", "Secret", "Node")


@value
class Wish:
    """A TokenRequest. `spec`: as the request has it; `now`: ns."""

    snapshot: Snapshot
    namespace: str
    account: str
    spec: Mapping[str, Any]
    now: int

    @property
    def owner(self) -> Any:
        """The ServiceAccount, or None."""
        return self.snapshot.get(("ServiceAccount", self.namespace, self.account))

    @property
    def reference(self) -> Mapping[str, Any]:
        """What the token is to be bound to; empty where it is nothing."""
        found = self.spec.get("boundObjectRef")
        return found if isinstance(found, Mapping) else {}

    @property
    def bound(self) -> Any:
        """The object that the token is to be bound to, or None."""
        kind = str(self.reference.get("kind", ""))
        known = KINDS.get(kind)
        space = self.namespace if known is not None and known.namespaced else ""
        return self.snapshot.get((kind, space, str(self.reference.get("name", ""))))

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom the token is for; the API server where nobody is named."""
        return tuple(map(str, self.spec.get("audiences") or ())) or (ISSUER,)


@value
class Shown:
    """A token that somebody shows. `claims` None: it is none of this cluster; `audiences`: of those who ask."""

    snapshot: Snapshot
    claims: Mapping[str, Any] | None
    audiences: tuple[str, ...]
    now: int

    @property
    def second(self) -> int:
        """Now, in seconds."""
        return self.now // SECOND

    @property
    def private(self) -> Mapping[str, Any]:
        """The claims that are Kubernetes' own."""
        found: Mapping[str, Any] = (self.claims or {}).get("kubernetes.io", {})
        return found

    @property
    def owner(self) -> Any:
        """The ServiceAccount that the token speaks for, or None."""
        name = self.private.get("serviceaccount", {}).get("name", "")
        return self.snapshot.get(("ServiceAccount", self.private.get("namespace", ""), name))

    @property
    def binding(self) -> tuple[str, Mapping[str, Any]]:
        """(kind, reference) of what the token is bound to; ("", {}) where it is nothing."""
        for kind in _BOUND:
            if kind.lower() in self.private:
                return kind, self.private[kind.lower()]
        return "", {}

    @property
    def bound(self) -> Any:
        """The object that the token is bound to, or None."""
        kind, reference = self.binding
        space = "" if kind == "Node" else self.private.get("namespace", "")
        return self.snapshot.get((kind, space, reference.get("name", "")))


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def account_there(case: Wish) -> bool:
    """The ServiceAccount exists."""
    return case.owner is not None


@law.fact
def lifetime(case: Wish) -> int:
    """How many seconds the token is to last; what is left out is an hour."""
    asked = case.spec.get("expirationSeconds")
    return asked if isinstance(asked, int) else HOUR


@law.fact
def bound_form(case: Wish) -> Literal["none", "Pod", "Secret", "Node", "other"]:
    """The kind of object that the token is to be bound to."""
    if not case.reference:
        return "none"
    version, kind = case.reference.get("apiVersion"), case.reference.get("kind")
    forms: tuple[Literal["Pod", "Secret", "Node"], ...] = ("Pod", "Secret", "Node")
    return next((form for form in forms if (version, kind) == ("v1", form)), "other")


@law.fact
def bound_state(case: Wish) -> Literal["missing", "foreign", "mistaken", "there"]:
    """The object: not there, a Pod of another account, another one of that name, or the right one."""
    found = case.bound
    if found is None:
        return "missing"
    if found.kind == "Pod" and found.spec.service_account_name != case.account:
        return "foreign"
    wanted = case.reference.get("uid")
    return "mistaken" if wanted and wanted != found.metadata.uid else "there"


@law.fact
def audience_is_server(case: Wish) -> bool:
    """The token is for the API server."""
    return case.audiences == (ISSUER,)


@law.fact
def signed_here(case: Shown) -> bool:
    """The token is one of this cluster."""
    return case.claims is not None


@law.fact
def audience_shared(case: Shown) -> bool:
    """Somebody who asks is named in the token."""
    return any(each in (case.claims or {}).get("aud", ()) for each in case.audiences)


@law.fact
def token_age(case: Shown) -> Literal["early", "good", "expired"]:
    """Whether now lies in the time for which the token was given."""
    claims = case.claims or {}
    if case.second >= claims.get("exp", 0):
        return "expired"
    return "early" if case.second < claims.get("nbf", 0) else "good"


@law.fact
def subject_state(case: Shown) -> Literal["missing", "deleted", "mistaken", "there"]:
    """The account: not there, deleted for a while, another one of that name, or the right one."""
    return _state(case, case.owner, case.private.get("serviceaccount", {}))


@law.fact
def binding_state(case: Shown) -> Literal["missing", "deleted", "mistaken", "there"]:
    """What the token is bound to, in the same words; there where it is bound to nothing."""
    kind, reference = case.binding
    return _state(case, case.bound, reference) if kind else "there"


def _state(case: Shown, found: Any, claimed: Mapping[str, Any]) -> Literal["missing", "deleted", "mistaken", "there"]:
    if found is None:
        return "missing"
    deleted = found.metadata.deletion_timestamp
    if deleted is not None and deleted < case.now - LEEWAY * SECOND:
        return "deleted"
    return "there" if found.metadata.uid == claimed.get("uid") else "mistaken"


# -- answers ----------------------------------------------------------------------------------------------------------


def requested_token(wish: Wish) -> dict[str, Any]:
    """The status of a TokenRequest: token and expirationTimestamp. Raises Refusal where it is not answered."""
    row = law.decide("request", wish).outputs
    reference = wish.reference
    if row["code"]:
        known = KINDS.get(str(reference.get("kind", "")))
        text = row["text"].format(
            account=wish.account,
            seconds=lifetime(wish),
            type=f"{reference.get('apiVersion', '')}, Kind={reference.get('kind', '')}",
            resource=known.resource if known is not None else "",
            name=reference.get("name", ""),
            wanted=reference.get("uid", ""),
        )
        head = f'TokenRequest.authentication.k8s.io "{wish.account}" is invalid: ' if row["code"] == 422 else ""
        raise Refusal(row["code"], row["reason"], head + text)
    lasts = law.decide("lifetime", wish).outputs["lasts"]
    seconds = {"year": YEAR, "asked": lifetime(wish)}[lasts]
    start = wish.now // SECOND
    claims = _claims(wish, start, seconds)
    if lasts == "year":
        claims["kubernetes.io"]["warnafter"] = start + constant("service_account_token_seconds")
    return {"token": signed(claims), "expirationTimestamp": format_time((start + seconds) * SECOND)}


def _claims(wish: Wish, start: int, seconds: int) -> dict[str, Any]:
    private: dict[str, Any] = {"namespace": wish.namespace}
    private["serviceaccount"] = {"name": wish.account, "uid": wish.owner.metadata.uid}
    if wish.reference:
        meta = wish.bound.metadata
        private[wish.bound.kind.lower()] = {"name": meta.name, "uid": meta.uid}
        node = wish.snapshot.get(("Node", "", wish.bound.spec.node_name)) if wish.bound.kind == "Pod" else None
        if node is not None:
            private["node"] = {"name": node.metadata.name, "uid": node.metadata.uid}
    return {
        "aud": list(wish.audiences),
        "exp": start + seconds,
        "iat": start,
        "iss": ISSUER,
        "kubernetes.io": private,
        "nbf": start,
        "sub": f"{ACCOUNT_PREFIX}{wish.namespace}:{wish.account}",
    }


def legacy_token(account: Any, secret: Any) -> str:
    """The token that a Secret of type kubernetes.io/service-account-token holds: without an end."""
    meta, own = account.metadata, secret.metadata
    claims = {
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": meta.namespace,
        "kubernetes.io/serviceaccount/secret.name": own.name,
        "kubernetes.io/serviceaccount/service-account.name": meta.name,
        "kubernetes.io/serviceaccount/service-account.uid": meta.uid,
        "sub": f"{ACCOUNT_PREFIX}{meta.namespace}:{meta.name}",
    }
    return signed(claims)


def reviewed(
    snapshot: Snapshot, token: str, now: int, audiences: tuple[str, ...] = (ISSUER,)
) -> tuple[User | None, str]:
    """The user for whom a token speaks, or None and why it is no good. `audiences`: of those who ask."""
    shown = Shown(snapshot, claims_of(token), audiences, now)
    text = law.decide("review", shown).outputs["text"]
    kind, reference = shown.binding
    own = shown.private.get("serviceaccount", {})
    if text is None:
        return user_of(f"{ACCOUNT_PREFIX}{shown.private['namespace']}:{own['name']}"), ""
    found, bound = shown.owner, shown.bound
    said: str = text.format(
        audiences=json.dumps((shown.claims or {}).get("aud", [])).replace(", ", " "),
        wanted=json.dumps(list(audiences)).replace(", ", " "),
        namespace=shown.private.get("namespace", ""),
        account=own.get("name", ""),
        found=found.metadata.uid if found is not None else "",
        claimed=own.get("uid", ""),
        kind=kind.lower(),
        bound=bound.metadata.uid if bound is not None else "",
        ref=reference.get("uid", ""),
    )
    return None, said


def signed(claims: Mapping[str, Any]) -> str:
    """A token with these claims."""
    body = ".".join(_encoded(each) for each in ({"alg": "HS256", "kid": "k8sfsm"}, claims))
    return f"{body}.{_checksum(body)}"


def claims_of(token: str) -> Mapping[str, Any] | None:
    """The claims of a token of this cluster; None for any other text."""
    body, _, checksum = token.rpartition(".")
    if not body or _checksum(body) != checksum:
        return None
    payload = body.partition(".")[2]
    claims: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _encoded(part: Mapping[str, Any]) -> str:
    text = json.dumps(part, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _checksum(body: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(_KEY + body.encode()).digest()).decode().rstrip("=")
