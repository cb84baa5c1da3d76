"""How iptables-save prints a rule that iptables-restore took: the kernel keeps matches, not words.

Source: iptables/iptables.c: print_rule4, extensions/libxt_*.c (save functions)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from k8sfsm.network.proxy.address import network
from k8sfsm.network.proxy.iptables.tables import BUILT_IN, Tables, words

_HEADER: Final = {"-s": 0, "-d": 1, "-i": 2, "-o": 3, "-p": 4}
_PLAIN: Final = re.compile(r"[-_0-9A-Za-z]+")
_RANDOM: Final = 0x80000000


def saved(rule: str) -> str:
    """A rule as iptables-save prints it; both without "-A CHAIN"."""
    header, rest, target = _parts(words(rule))
    shown = [text for _, text in sorted((_HEADER[name], _headed(name, text)) for name, text in header.items())]
    return " ".join([*shown, *_matches(rest), *_target(target)])


def saved_lines(tables: Tables, table: str) -> Iterator[str]:
    """The rules of a table, chain by chain, as iptables-save prints them."""
    for chain, rules in tables.tables[table].items():
        for rule in rules:
            yield f"-A {chain} {saved(rule)}".rstrip()


def _parts(tokens: Sequence[str]) -> tuple[dict[str, str], list[list[str]], list[str]]:
    """The header (addresses, interfaces, protocol), the matches with their options, and the target's words."""
    header: dict[str, str] = {}
    matches: list[list[str]] = []
    place, sign = 0, ""
    while place < len(tokens):
        token = tokens[place]
        if token == "-j":
            return header, matches, list(tokens[place:])
        if token == "!":
            sign = "! "
        elif token in _HEADER:
            header[token] = sign + tokens[place + 1]
            place, sign = place + 1, ""
        elif token == "-m":
            matches.append([tokens[place + 1]])
            place += 1
        else:
            owner = _owner(token, matches)
            owner.extend(([sign.strip()] if sign else []) + [token])
            sign = ""
        place += 1
    return header, matches, []


def _owner(token: str, matches: list[list[str]]) -> list[str]:
    """The match that an option belongs to: ports are the protocol's, others the last match's."""
    if token == "--dport":
        return next(match for match in matches if match[0] in ("tcp", "udp", "sctp"))
    return matches[-1]


def _headed(name: str, text: str) -> str:
    sign, _, value = text.rpartition(" ")
    if name in ("-s", "-d"):
        value = str(network(value) or value)
    return f"{sign} {name} {value}".strip()


def _matches(matches: Sequence[Sequence[str]]) -> Iterator[str]:
    for name, *options in matches:
        yield f"-m {name} {_options(name, options)}".rstrip()


def _options(name: str, options: Sequence[str]) -> str:
    match name:
        case "comment":
            return f"--comment {_quoted(options[1])}"
        case "statistic":
            chance = round(float(options[3]) * _RANDOM) / _RANDOM
            return f"--mode random --probability {chance:.11f}"
        case "recent":
            return _recent(options)
        case "nfacct":
            return f"--nfacct-name  {options[1]}"
    return " ".join(options)


def _recent(options: Sequence[str]) -> str:
    name = options[options.index("--name") + 1]
    rest = [each for each in options if each not in ("--name", name)]
    return f"{' '.join(rest)} --name {name} --mask 255.255.255.255 --rsource"


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else f'"{text}"'


def _target(target: Sequence[str]) -> list[str]:
    if len(target) > 3 and target[1] == "MARK":
        mask = target[3] if target[2] == "--or-mark" else "0x0"
        return ["-j", "MARK", "--set-xmark", f"{target[3]}/{mask}"]
    if list(target) == ["-j", "REJECT"]:
        return [*target, "--reject-with", "icmp-port-unreachable"]
    return list(target)


def saved_text(tables: Tables) -> str:
    """Both tables as iptables-save prints them, chains in the order of their names."""
    parts = []
    for table in ("filter", "nat"):
        own = BUILT_IN[table]
        found = tables.tables.get(table, {})
        chains = [*(chain for chain in own if chain in found), *sorted(chain for chain in found if chain not in own)]
        heads = [f":{chain} {'ACCEPT' if chain in own else '-'} [0:0]" for chain in chains]
        lines = list(saved_lines(tables, table))
        lines.sort(key=lambda line: chains.index(line.split(" ", 2)[1]))
        parts += [f"*{table}", *heads, *lines, "COMMIT"]
    return "\n".join(parts) + "\n"
