"""Node selectors: which nodes a pod asks for, by labels and by name.

Terms that cannot be parsed match nothing; their errors are told beside the result, in Kubernetes' words.
Source: staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from k8sfsm.objects import (
    Affinity,
    Node,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PreferredSchedulingTerm,
)
from k8sfsm.scheduler.rules import law

NAME_FIELD: Final = "metadata.name"
_LABEL_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_FIELD_OPERATORS: Final = ("In", "NotIn")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)


def _integer(text: str) -> int | None:
    """A text as a 64 bit integer; None where it is none (Go: strconv.ParseInt)."""
    if not _INTEGER.match(text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


@frozen
class Requirement:
    """One expression about one node: the case of the table `node-requirement`. `value` None: no such label."""

    operator: str
    values: tuple[str, ...]
    value: str | None


@law.fact
def requirement_operator(requirement: Requirement) -> str:
    """The operator of the expression."""
    return requirement.operator


@law.fact
def label_present(requirement: Requirement) -> bool:
    """The node has the label."""
    return requirement.value is not None


@law.fact
def value_listed(requirement: Requirement) -> bool:
    """The node has the label, with one of the listed values."""
    return requirement.value is not None and requirement.value in requirement.values


@law.fact
def number_difference(requirement: Requirement) -> int | None:
    """The label's number less the expression's; None where either is no integer."""
    if requirement.value is None or len(requirement.values) != 1:
        return None
    mine, theirs = _integer(requirement.value), _integer(requirement.values[0])
    return None if mine is None or theirs is None else mine - theirs


def _holds(requirement: NodeSelectorRequirement, value: str | None) -> bool:
    case = Requirement(requirement.operator, requirement.values, value)
    return bool(law.decide("node-requirement", case).outputs["holds"])


@frozen
class Match:
    """Whether a node matches, and what could not be parsed on the way ("" where all could)."""

    matches: bool
    error: str = ""


def _unsupported(path: str, operator: str, known: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in known)
    return f'{path}.operator: Unsupported value: "{operator}": supported values: {names}'


def _invalid(path: str, value: object, detail: str) -> str:
    shown = "null" if value == () else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"{path}: Invalid value: {shown}: {detail}"


def _number_errors(requirement: NodeSelectorRequirement, path: str) -> list[str]:
    errors = []
    if len(requirement.values) != 1:
        detail = "for 'Gt', 'Lt' operators, exactly one value is required"
        errors.append(_invalid(f"{path}.values", requirement.values, detail))
    for index, value in enumerate(requirement.values):
        if _integer(value) is None:
            detail = "for 'Gt', 'Lt' operators, the value must be an integer"
            errors.append(_invalid(f"{path}.values[{index}]", value, detail))
    return errors


def _label_errors(requirement: NodeSelectorRequirement, path: str) -> list[str]:
    """What is wrong with an expression on labels (apimachinery/pkg/labels/selector.go: NewRequirement)."""
    operator, values = requirement.operator, requirement.values
    if operator not in _LABEL_OPERATORS:
        return [_unsupported(path, operator, _LABEL_OPERATORS)]
    if operator in ("In", "NotIn") and not values:
        return [_invalid(f"{path}.values", values, "for 'in', 'notin' operators, values set can't be empty")]
    if operator in ("Exists", "DoesNotExist") and values:
        return [_invalid(f"{path}.values", values, "values set must be empty for exists and does not exist")]
    return _number_errors(requirement, path) if operator in ("Gt", "Lt") else []


def _field_errors(requirement: NodeSelectorRequirement, path: str) -> list[str]:
    if requirement.operator not in _FIELD_OPERATORS:
        return [_unsupported(path, requirement.operator, _FIELD_OPERATORS)]
    if len(requirement.values) != 1:
        return [_invalid(f"{path}.values", requirement.values, "must have one element")]
    return []


def _term_errors(term: NodeSelectorTerm, path: str) -> tuple[str, ...]:
    """One text per source of errors: an expression on labels with several errors gives one text for all."""
    texts = [
        aggregate(_label_errors(requirement, f"{path}.matchExpressions[{index}]"))
        for index, requirement in enumerate(term.match_expressions)
    ]
    for index, requirement in enumerate(term.match_fields):
        texts.extend(_field_errors(requirement, f"{path}.matchFields[{index}]"))
    return tuple(text for text in texts if text)


def aggregate(errors: Iterable[str]) -> str:
    """Several errors as one text (apimachinery/pkg/util/errors: aggregate.Error)."""
    distinct = list(dict.fromkeys(errors))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]" if distinct else ""


def _empty(term: NodeSelectorTerm) -> bool:
    return not term.match_expressions and not term.match_fields


def _term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    labels = node.metadata.labels
    if not all(_holds(requirement, labels.get(requirement.key)) for requirement in term.match_expressions):
        return False
    if not node.metadata.name:
        return True
    fields = {NAME_FIELD: node.metadata.name}
    return all(_holds(requirement, fields.get(requirement.key, "")) for requirement in term.match_fields)


def match_terms(terms: Sequence[NodeSelectorTerm], node: Node) -> Match:
    """Does the node match one of the terms? Terms after a match are not looked at, so their errors are not told."""
    errors: list[str] = []
    for index, term in enumerate(terms):
        if _empty(term):
            continue
        found = _term_errors(term, f"nodeSelectorTerms[{index}]")
        if found:
            errors.extend(found)
        elif _term_matches(term, node):
            return Match(True)
    return Match(False, aggregate(errors))


def match_required(node_selector: Mapping[str, str], affinity: Affinity | None, node: Node) -> Match:
    """Does the node have what a pod's nodeSelector and required node affinity ask for?

    Source: nodeaffinity.go: GetRequiredNodeAffinity, RequiredNodeAffinity.Match.
    """
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in node_selector.items()):
        return Match(False)
    required = None if affinity is None or affinity.node_affinity is None else affinity.node_affinity.required
    return Match(True) if required is None else match_terms(required.node_selector_terms, node)


def preferred_error(terms: Sequence[PreferredSchedulingTerm]) -> str:
    """What cannot be parsed in preferred terms; "" where all can (nodeaffinity.go: NewPreferredSchedulingTerms)."""
    errors: list[str] = []
    for index, term in enumerate(terms):
        if term.weight and not _empty(term.preference):
            errors.extend(_term_errors(term.preference, f"[{index}]"))
    return aggregate(errors)


def preferred_score(terms: Sequence[PreferredSchedulingTerm], node: Node) -> int:
    """The sum of the weights of the terms that the node matches; the terms must be without errors."""
    return sum(
        term.weight
        for term in terms
        if term.weight and not _empty(term.preference) and _term_matches(term.preference, node)
    )


def names_asked_for(affinity: Affinity | None) -> tuple[str, ...] | None:
    """The node names to which required affinity narrows the search: sorted; () for contradictory ones, None for any.

    Source: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go: PreFilter.
    """
    required = None if affinity is None or affinity.node_affinity is None else affinity.node_affinity.required
    if required is None or not required.node_selector_terms:
        return None
    names: set[str] = set()
    for term in required.node_selector_terms:
        named = [set(r.values) for r in term.match_fields if r.key == NAME_FIELD and r.operator == "In"]
        if not named:
            return None
        names |= set.intersection(*named)
    return tuple(sorted(names))
