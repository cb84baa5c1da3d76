"""The admission plugin ValidatingAdmissionPolicy.

Source: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating/dispatcher.go, validator.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.apiserver.answer import Refusal, Sender
from k8sfsm.apiserver.cel import CelError, evaluated
from k8sfsm.apiserver.cel.authorizer import AUTHORIZER, authorizer_functions
from k8sfsm.apiserver.custom.definitions import listed, member
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.policies.matching import AdmissionRequest, concerns, params_of
from k8sfsm.apiserver.rbac.gate import asked_by
from k8sfsm.apiserver.rbac.users import user_of
from k8sfsm.objects import to_json
from k8sfsm.request import Write
from k8sfsm.store import Snapshot

POLICY: Final = "ValidatingAdmissionPolicy"
BINDING: Final = "ValidatingAdmissionPolicyBinding"
POLICIES: Final = (POLICY, BINDING)


@frozen
class Checked:
    """An expression of a policy that was evaluated: to `value`, or to an `error`."""

    value: Any
    error: str
    ignore: bool
    message: str


@frozen
class Given:
    """The parameters of a binding."""

    wanted: bool
    found: bool
    allowed: bool


@frozen
class Reasoned:
    """The reason that a validation gives."""

    reason: str


@law.fact
def expression_result(case: Checked) -> Literal["holds", "fails", "error"]:
    """What an expression comes to; another value than true or false is an error."""
    if case.error:
        return "error"
    return "holds" if case.value is True else "fails"


@law.fact
def failure_ignored(case: Checked) -> bool:
    """failurePolicy: Ignore."""
    return case.ignore


@law.fact
def own_message(case: Checked) -> bool:
    """The validation says itself what is wrong."""
    return bool(case.message)


@law.fact
def params_wanted(case: Given) -> bool:
    """The policy has a paramKind and the binding a paramRef."""
    return case.wanted


@law.fact
def params_found(case: Given) -> bool:
    """There are such objects."""
    return case.found


@law.fact
def missing_allowed(case: Given) -> bool:
    """parameterNotFoundAction: Allow."""
    return case.allowed


@law.fact
def given_reason(case: Reasoned) -> str:
    """The reason of the validation."""
    return case.reason


@frozen
class Denial:
    """What a policy has against a request, under which binding."""

    policy: str
    binding: str
    text: str
    reason: str
    actions: tuple[str, ...]

    @property
    def says(self) -> str:
        """The sentence of the refusal."""
        return f"ValidatingAdmissionPolicy '{self.policy}' with binding '{self.binding}' denied request: {self.text}"

    @property
    def warns(self) -> str:
        """The sentence of a warning."""
        of = f"ValidatingAdmissionPolicy '{self.policy}' with binding '{self.binding}'"
        return f"Validation failed for {of}: {self.text}"


class Police:
    """Asks the admission policies about writes, as soon as there are any; before, that costs nothing."""

    def __init__(self) -> None:
        self._needed: bool | None = None

    @property
    def is_needed(self) -> bool:
        """Whether there are policies, or may be: nobody has looked yet."""
        return self._needed is not False

    def ask(self, sender: Sender, write: Write, old: Any, new: Any, snapshot: Snapshot) -> tuple[str, ...]:
        """The warnings of policies about a write. Raises Refusal where one denies it."""
        if self._needed is None:
            self._needed = any(snapshot.series("in", kind, "") for kind in POLICIES)
        if new is not None and new.kind in POLICIES:
            self._needed = True
        if not self._needed:
            return ()
        operation = "CREATE" if old is None else "UPDATE" if new is not None else "DELETE"
        asked = asked_by(user_of(sender.account, sender.groups), write, snapshot)
        return judged_by_policies(AdmissionRequest(asked, operation, old, new, snapshot))


def judged_by_policies(request: AdmissionRequest) -> tuple[str, ...]:
    """The warnings of policies. Raises Refusal where one denies the request."""
    denials = tuple(_denials(request))
    for denial in denials:
        if "Deny" in denial.actions:
            row = law.decide("reason", Reasoned(denial.reason)).outputs
            asked = request.asked
            resource = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
            text = f'{resource} "{request.name}" is forbidden: {denial.says}'
            raise Refusal(row["code"], row["reason"], text)
    return tuple(denial.warns for denial in denials if "Warn" in denial.actions)


def _denials(request: AdmissionRequest) -> Iterator[Denial]:
    if request.object.kind in POLICIES:
        return
    bindings = tuple(request.snapshot.series("in", BINDING, ""))
    for policy in request.snapshot.series("in", POLICY, ""):
        if not concerns(member(policy.extra, "spec", "matchConstraints"), request):
            continue
        for binding in bindings:
            if member(binding.extra, "spec", "policyName") != policy.metadata.name:
                continue
            if concerns(member(binding.extra, "spec", "matchResources"), request, open=True):
                yield from _under(policy, binding, request)


def _under(policy: Any, binding: Any, request: AdmissionRequest) -> Iterator[Denial]:
    """What a policy has against a request under one binding, for each of its parameters."""
    reference = member(binding.extra, "spec", "paramRef")
    wanted = member(policy.extra, "spec", "paramKind") is not None and reference is not None
    params = params_of(policy, binding, request)
    allowed = member(reference, "parameterNotFoundAction") == "Allow"
    use = law.decide("params", Given(wanted, bool(params), allowed)).outputs["use"]
    actions = tuple(map(str, listed(member(binding.extra, "spec", "validationActions"))))
    names = (policy.metadata.name, binding.metadata.name)
    if use == "refuse":
        text = "no params found for policy binding with `Deny` parameterNotFoundAction"
        yield Denial(*names, f"failed to configure binding: {text}", "", actions)
    elif use != "skip":
        for each in params or (None,):
            for text, reason in _failures(policy, each, request):
                yield Denial(*names, text, reason, actions)


def _failures(policy: Any, params: Any, request: AdmissionRequest) -> Iterator[tuple[str, str]]:
    """(text, reason) of what a policy has against a request."""
    spec: Mapping[str, Any] = member(policy.extra, "spec") or {}
    ignore = spec.get("failurePolicy") == "Ignore"
    known = _variables(request, params)
    functions = authorizer_functions(request.asked.user, request.snapshot)
    for condition in listed(spec.get("matchConditions")):
        value, error = _value(str(member(condition, "expression") or ""), known, functions)
        if error and not ignore:
            yield f"{member(condition, 'name')}: {error}", ""
        if error or value is not True:
            return
    for variable in listed(spec.get("variables")):
        value, error = _value(str(member(variable, "expression") or ""), known, functions)
        if not error:
            known["variables"][str(member(variable, "name"))] = value
    for validation in listed(spec.get("validations")):
        expression = str(member(validation, "expression") or "")
        value, error = _value(expression, known, functions)
        message = _message(validation, known, functions)
        row = law.decide("validation", Checked(value, error, ignore, message)).outputs
        if row["denies"]:
            said = row["text"].format(expression=expression, error=error, message=message)
            yield said, str(member(validation, "reason") or "")


def _value(expression: str, known: Mapping[str, Any], functions: Mapping[str, Any]) -> tuple[Any, str]:
    try:
        return evaluated(expression, known, functions), ""
    except CelError as error:
        return None, str(error)


def _message(validation: Any, known: Mapping[str, Any], functions: Mapping[str, Any]) -> str:
    """The validation's own text: that of messageExpression, if it comes to one line, else `message`."""
    own = member(validation, "messageExpression")
    if own:
        said, error = _value(str(own), known, functions)
        if not error and isinstance(said, str) and said.strip() and "\n" not in said:
            return said
    return str(member(validation, "message") or "").strip()


def _variables(request: AdmissionRequest, params: Any) -> dict[str, Any]:
    """What expressions may name. Source: staging/src/k8s.io/apiserver/pkg/admission/plugin/cel/compile.go."""
    asked = request.asked
    namespace = request.snapshot.get(("Namespace", "", request.object.metadata.namespace))
    group = {"group": asked.group, "version": request.version}
    return {
        "object": None if request.new is None else to_json(request.new),
        "oldObject": None if request.old is None else to_json(request.old),
        "params": None if params is None else to_json(params),
        "namespaceObject": None if namespace is None else to_json(namespace),
        "request": {
            "kind": {**group, "kind": request.object.kind},
            "resource": {**group, "resource": asked.resource},
            "subResource": asked.subresource,
            "name": request.name,
            "namespace": asked.namespace,
            "operation": request.operation,
            "userInfo": {"username": asked.user.name, "groups": list(asked.user.groups)},
            "dryRun": False,
        },
        "variables": {},
        "authorizer": AUTHORIZER,
    }
