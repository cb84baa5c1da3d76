"""Names that the API server makes up.

Source: staging/src/k8s.io/apiserver/pkg/storage/names/generate.go: GenerateName;
pkg/registry/generic/registry/store.go: createWithGenerateNameRetry.
"""

from __future__ import annotations

from typing import Protocol

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.law import constant
from k8sfsm.objects import KINDS
from k8sfsm.request import Key
from k8sfsm.store import Store


class Chance(Protocol):
    """What the API server leaves to chance: suffixes of generated names, and uids."""

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        """Five characters to put behind `base`."""

    def uid(self, key: Key) -> str:
        """The uid of a new object."""

    def index(self, count: int) -> int:
        """A number from 0 to `count` - 1."""

    def fork(self) -> Chance:
        """Chance that goes on from here, and leaves this one as it is: for dry runs."""

    def recorded(self, purpose: str, key: Key) -> str:
        """What a recorded cluster chose for a Service; "" where it chose nothing.

        `purpose`: "clusterIP", "clusterIPs/1", "nodePort/80" or "healthCheckNodePort".
        """


def generated_name(store: Store, kind: str, namespace: str, base: str, chance: Chance) -> str:
    """`base` (cut to what leaves room) and five random characters, tried again while the name is taken.

    Raises Refusal (409 AlreadyExists) after the last try.
    """
    name, head = "", base[: constant("generated_name_base_max")]
    for _ in range(constant("generate_name_tries")):
        name = head + chance.suffix(kind, namespace, head)
        if store.snapshot.get((kind, namespace, name)) is None:
            return name
    known = KINDS.get(kind)
    plural = known.resource if known is not None else kind.lower()
    text = "already exists, the server was not able to generate a unique name for the object"
    raise Refusal(409, "AlreadyExists", f'{plural} "{name}" {text}')
