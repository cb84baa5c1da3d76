"""The ClusterRole aggregation controller: roles that are made of others.

Source: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Literal

from attrs import frozen

from k8sfsm.apiserver.rbac.policy import aggregated, policy_from
from k8sfsm.law import Decision, Law
from k8sfsm.objects import ClusterRole, PolicyRule, key_of, to_json
from k8sfsm.request import Key, Patch, Plan, Step
from k8sfsm.view import Change, View

law = Law("clusterroleaggregation")


@frozen(slots=False)
class Sync:
    """One look at a ClusterRole (None: it is gone), and at all others."""

    role: ClusterRole | None
    others: tuple[ClusterRole, ...]

    @cached_property
    def rules(self) -> tuple[PolicyRule, ...]:
        """The rules that the role ought to have."""
        return () if self.role is None else aggregated(self.role, self.others)


@law.key
def aggregated_roles(change: Change, view: View) -> Iterable[Key]:
    """Every ClusterRole with an aggregation rule: which of them select the one that changed is seen later."""
    return [key_of(role) for role in view.list("ClusterRole") if role.aggregation_rule is not None]


@law.fact
def role_state(sync: Sync) -> Literal["gone", "plain", "aggregated"]:
    """Whether the role is there, and whether it is made of others."""
    if sync.role is None:
        return "gone"
    return "plain" if sync.role.aggregation_rule is None else "aggregated"


@law.fact
def rules_current(sync: Sync) -> bool:
    """Whether the role has the rules of all that it selects, and no others."""
    return sync.role is not None and sync.role.rules == sync.rules


@law.action
def write_rules(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Write the rules of the role, and nothing else of it."""
    assert sync.role is not None
    yield Patch(key=key_of(sync.role), body={"rules": [to_json(rule) for rule in sync.rules]}, type="merge")


class ClusterRoleAggregationController:
    """Reconciles ClusterRoles with an aggregation rule."""

    name = "clusterrole-aggregation-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Bring the rules of a role up to date."""
        stored = view.list("ClusterRole")
        others = policy_from(stored).roles.values()
        sync = Sync(view.get(*key), tuple(each for each in others if isinstance(each, ClusterRole)))
        return Plan(steps=law.perform(law.decide("aggregate", sync), sync))
