"""Rules of iptables taken apart: what a packet is held against, and what is done to it. Both forms of text are read,
that of iptables-restore and that of iptables-save.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen

from k8sfsm.network.proxy.iptables.tables import TablesError, words

_VALUED = ("-p", "-s", "-d", "-i", "--dst-type", "--src-type", "--ctstate", "--mark", "--dport", "--match-set")
_IGNORED = ("--comment", "--nfacct-name", "--mode", "--seconds", "--mask", "--reject-with", "-m")
"""Options that no packet is held against; `-m` itself only loads a match."""
_BARE = ("--reap", "--rsource", "--random-fully", "--set")


@frozen
class Test:
    """One thing that a packet is held against; `negated`: it must not hold."""

    name: str
    value: str
    negated: bool = False

    def holds(self, found: bool) -> bool:
        """What comes of it where the packet does (or does not) have the value."""
        return found != self.negated


@frozen(kw_only=True)
class Rule:
    """A rule. `port` 0: any; `bits` and `mask`: what MARK does (``mark & ~mask ^ bits``); `to_ip`,
    `to_port`: of DNAT.
    """

    text: str
    target: str = ""
    tests: tuple[Test, ...] = ()
    destination: Test | None = None
    port: int = 0
    probability: str = ""
    bits: int = 0
    mask: int = 0
    to_ip: str = ""
    to_port: int = 0


@lru_cache(maxsize=200_000)
def parse(text: str) -> Rule:
    """A rule from its text without "-A CHAIN". Raises TablesError where it has options that are not known."""
    tokens = iter(words(text))
    found: dict[str, str] = {}
    tests: list[Test] = []
    destination: Test | None = None
    negated, checks = False, False
    for token in tokens:
        if token == "!":
            negated = True
            continue
        if token == "--rcheck":
            checks = True
        elif token in _IGNORED:
            next(tokens)
        elif token not in _BARE:
            value = next(tokens, "")
            if token == "--match-set":
                value += " " + next(tokens, "")
            test = Test(token, value, negated)
            if token == "-d":
                destination = test
            elif token in _VALUED:
                tests.append(test)
            else:
                found[token] = value
        negated = False
    if checks:
        tests.append(Test("recent", found.pop("--name")))
    return _rule(text, found, tests, destination)


def _rule(text: str, found: dict[str, str], tests: list[Test], destination: Test | None) -> Rule:
    port = next((int(test.value) for test in tests if test.name == "--dport"), 0)
    bits, mask = _marking(found)
    ip, _, to_port = found.pop("--to-destination", "").rpartition(":")
    target, probability = found.pop("-j", ""), found.pop("--probability", "")
    found.pop("--name", None)
    if found:
        raise TablesError(f"{text}: {', '.join(found)} is not known, expected rules as kube-proxy writes them")
    return Rule(
        text=text,
        target=target,
        tests=tuple(test for test in tests if test.name != "--dport"),
        destination=destination,
        port=port,
        probability=probability,
        bits=bits,
        mask=mask,
        to_ip=ip.strip("[]"),
        to_port=int(to_port or 0),
    )


def _marking(found: dict[str, str]) -> tuple[int, int]:
    """(bits, mask) of a MARK target: ``mark & ~mask ^ bits``."""
    if "--or-mark" in found:
        bits = int(found.pop("--or-mark"), 16)
        return bits, bits
    if "--xor-mark" in found:
        return int(found.pop("--xor-mark"), 16), 0
    bits_text, _, mask_text = found.pop("--set-xmark", "0x0/0x0").partition("/")
    return int(bits_text, 16), int(mask_text, 16)
