# ruff: noqa: E501 (one case per line)
"""ValidatingAdmissionPolicies, and CEL with Kubernetes' functions."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, config_map, pod, workload

from k8sfsm.apiserver.cel import CelError, compiled, evaluate, evaluated, is_there
from k8sfsm.objects import from_json
from k8sfsm.request import Create, Delete, Patch, Update

GROUP = "admissionregistration.k8s.io/v1"
DEPLOYMENTS = [
    {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}
]


def policy(name: str = "few", **spec: Any) -> dict[str, Any]:
    given = {
        "matchConstraints": {"resourceRules": DEPLOYMENTS},
        "validations": [{"expression": "object.spec.replicas <= 5"}],
        **spec,
    }
    return {"apiVersion": GROUP, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": given}


def bound(name: str = "few", **spec: Any) -> dict[str, Any]:
    given = {"policyName": name, "validationActions": ["Deny"], **spec}
    return {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": f"{name}-bound"},
        "spec": given,
    }


def world(binding: Any = None, *objects: Any, **spec: Any) -> World:
    found = World()
    for each in (*objects, policy(**spec), bound() if binding is None else binding):
        found.make(each)
    return found


def denial(found: World, document: Any) -> str:
    outcome = found.send(Create(object=from_json(document)))
    return "" if outcome.ok else outcome.message


HEAD = "ValidatingAdmissionPolicy 'few' with binding 'few-bound' denied request: "


def test_a_policy_denies() -> None:
    found = world()
    refused = found.refused(Create(object=from_json(workload(replicas=6))))
    assert refused == (
        422,
        "Invalid",
        f'deployments.apps "d" is forbidden: {HEAD}failed expression: object.spec.replicas <= 5',
    )
    assert found.send(Create(object=from_json(workload(replicas=5)))).ok
    assert found.refused(Patch(key=("Deployment", "a", "d"), body={"spec": {"replicas": 7}}))[0] == 422
    assert found.send(Delete(key=("Deployment", "a", "d"))).ok


def test_policies_in_a_store_that_was_there_before() -> None:
    found, other = world(), World(bare=True)
    other.store = found.store
    assert other.refused(Create(object=from_json(workload(replicas=6))))[0] == 422


def test_a_policy_without_a_binding_denies_nothing() -> None:
    found = World()
    found.make(policy())
    found.make(bound("other"))
    assert found.send(Create(object=from_json(workload(replicas=6)))).ok


REASONS = [
    ("", 422, "Invalid"),
    ("Forbidden", 403, "Forbidden"),
    ("Unauthorized", 401, "Unauthorized"),
    ("RequestEntityTooLarge", 413, "RequestEntityTooLarge"),
]


@pytest.mark.parametrize(("reason", "code", "said"), REASONS)
def test_reasons(reason: str, code: int, said: str) -> None:
    found = world(validations=[{"expression": "false", "message": "no", "reason": reason}])
    assert found.refused(Create(object=from_json(workload())))[:2] == (code, said)


VALIDATIONS = [
    ({"expression": "object.spec.replicas <= 5", "message": " too many "}, HEAD + "too many"),
    (
        {"expression": "false", "message": "m", "messageExpression": "'found ' + string(object.spec.replicas)"},
        HEAD + "found 6",
    ),
    ({"expression": "false", "message": "m", "messageExpression": "object.none"}, HEAD + "m"),
    ({"expression": "false", "message": "m", "messageExpression": "1"}, HEAD + "m"),
    ({"expression": "false", "messageExpression": "'a\\nb'"}, HEAD + "failed expression: false"),
    ({"expression": "object.none > 1"}, HEAD + "expression 'object.none > 1' resulted in error: no such key: none"),
    ({"expression": "'text'"}, HEAD + "failed expression: 'text'"),
    ({"expression": "object.spec.replicas > 5 && oldObject == null && request.operation == 'CREATE'"}, ""),
    (
        {"expression": "request.userInfo.username == 'system:apiserver' && request.resource.resource == 'deployments'"},
        "",
    ),
    ({"expression": "request.kind.kind == 'Deployment' && request.namespace == 'a' && request.name == 'd'"}, ""),
    ({"expression": "namespaceObject.metadata.name == 'a' && request.subResource == '' && !request.dryRun"}, ""),
    ({"expression": "variables.many && params == null"}, ""),
    ({"expression": "authorizer.group('apps').resource('deployments').namespace('a').check('create').allowed()"}, ""),
    (
        {
            "expression": "authorizer.serviceAccount('a', 'default').resource('pods').namespace('a').check('create').allowed()"
        },
        HEAD + "failed",
    ),
    ({"expression": "authorizer.path('/healthz').check('get').reason() == ''"}, ""),
]


@pytest.mark.parametrize(("validation", "text"), VALIDATIONS)
def test_expressions(validation: dict[str, str], text: str) -> None:
    variables = [
        {"name": "many", "expression": "object.spec.replicas > 5"},
        {"name": "wrong", "expression": "object.none"},
    ]
    said = denial(world(validations=[validation], variables=variables), workload(replicas=6))
    assert (text in said) if text else said == ""


def test_errors_may_be_ignored() -> None:
    wrong = [{"expression": "object.none"}]
    assert denial(world(validations=wrong, failurePolicy="Ignore"), workload()) == ""
    assert denial(world(validations=wrong, failurePolicy="Fail"), workload()) != ""
    conditions = [{"name": "c", "expression": "object.none"}]
    assert (
        denial(
            world(validations=[{"expression": "false"}], matchConditions=conditions, failurePolicy="Ignore"), workload()
        )
        == ""
    )
    assert "c: no such key: none" in denial(
        world(validations=[{"expression": "false"}], matchConditions=conditions), workload()
    )


def test_match_conditions() -> None:
    never = [{"name": "c", "expression": "object.spec.replicas > 100"}]
    always = [{"name": "c", "expression": "object.spec.replicas > 1"}]
    assert denial(world(matchConditions=never), workload(replicas=6)) == ""
    assert denial(world(matchConditions=always), workload(replicas=6)) != ""


def test_warnings() -> None:
    found = world(bound(validationActions=["Warn", "Audit"]))
    outcome = found.send(Create(object=from_json(workload(replicas=6))))
    assert outcome.ok
    assert (
        outcome.warnings[0]
        == "Validation failed for ValidatingAdmissionPolicy 'few' with binding 'few-bound': failed expression: object.spec.replicas <= 5"
    )
    silent = world(bound(validationActions=["Audit"])).send(Create(object=from_json(workload(replicas=6))))
    assert silent.ok and silent.warnings == ()


def rule(**changes: Any) -> dict[str, Any]:
    return {"resourceRules": [{**DEPLOYMENTS[0], **changes}]}


MATCHES = [
    (rule(), True),
    (rule(operations=["*"]), True),
    (rule(operations=["DELETE"]), False),
    (rule(apiGroups=["*"]), True),
    (rule(apiGroups=[""]), False),
    (rule(apiVersions=["*"]), True),
    (rule(apiVersions=["v2"]), False),
    (rule(resources=["*"]), True),
    (rule(resources=["*/*"]), True),
    (rule(resources=["pods", "deployments/scale"]), False),
    (rule(scope="Namespaced"), True),
    (rule(scope="Cluster"), False),
    (rule(scope="*"), True),
    (rule(resourceNames=["d"]), True),
    (rule(resourceNames=["e"]), False),
    ({**rule(), "excludeResourceRules": rule()["resourceRules"]}, False),
    ({**rule(), "excludeResourceRules": rule(resourceNames=["e"])["resourceRules"]}, True),
    ({**rule(), "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "a"}}}, True),
    ({**rule(), "namespaceSelector": {"matchLabels": {"x": "y"}}}, False),
    ({**rule(), "objectSelector": {"matchLabels": {"x": "y"}}}, False),
    ({**rule(), "objectSelector": {"matchLabels": {"app": "web"}}}, True),
    ({**rule(), "objectSelector": {"matchLabels": {"-": "y"}}}, False),
    ({}, False),
    (None, False),
]


@pytest.mark.parametrize(("constraints", "matches"), MATCHES)
def test_what_a_policy_is_about(constraints: Any, matches: bool) -> None:
    document = workload(replicas=6)
    document["metadata"]["labels"] = {"app": "web"}
    assert bool(denial(world(matchConstraints=constraints), document)) is matches
    if constraints:
        assert bool(denial(world(bound(matchResources=constraints)), document)) is matches


def test_a_binding_without_rules_is_about_all_that_the_policy_is_about() -> None:
    selected = {"namespaceSelector": {"matchLabels": {"x": "y"}}}
    assert denial(world(bound(matchResources={})), workload(replicas=6)) != ""
    assert denial(world(bound(matchResources=selected)), workload(replicas=6)) == ""


def everything(**changes: Any) -> dict[str, Any]:
    return {
        "resourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], **changes}
        ]
    }


def test_subresources_namespaces_and_cluster_scope() -> None:
    no = [{"expression": "false"}]
    scale = Patch(key=("Deployment", "a", "d"), body={"spec": {"replicas": 3}}, subresource="scale")
    for resources, denied in (
        (["*"], False),
        (["deployments"], False),
        (["deployments/scale"], True),
        (["*/scale"], True),
        (["deployments/*"], True),
        (["*/*"], True),
        (["pods/scale"], False),
    ):
        found = World()
        found.make(workload())
        found.make(policy(matchConstraints=everything(resources=resources, operations=["UPDATE"]), validations=no))
        found.make(bound())
        assert found.send(scale).ok is not denied, resources
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "z", "labels": {"x": "y"}}}
    selector = {**everything(), "namespaceSelector": {"matchLabels": {"x": "y"}}}
    found = world(matchConstraints=selector, validations=no)
    assert denial(found, space) != "" and denial(found, {**space, "metadata": {"name": "w"}}) == ""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
    assert denial(found, role) != "", "what is in no namespace is selected"
    assert found.send(Create(object=from_json(policy("other")))).ok, "policies are not about policies"


def test_deletions() -> None:
    found = World()
    found.make(workload())
    only = [{"expression": "oldObject.metadata.name != 'd' && object == null", "message": "stays"}]
    found.make(policy(matchConstraints=everything(operations=["DELETE"]), validations=only))
    found.make(bound())
    assert found.refused(Delete(key=("Deployment", "a", "d")))[2].endswith("denied request: stays")


LIMIT = {**config_map("limit"), "data": {"most": "3"}}
KIND = {"apiVersion": "v1", "kind": "ConfigMap"}
USES = [{"expression": "object.spec.replicas <= int(params.data.most)"}]


def test_parameters() -> None:
    named = bound(paramRef={"name": "limit", "namespace": "a", "parameterNotFoundAction": "Deny"})
    assert denial(world(named, LIMIT, paramKind=KIND, validations=USES), workload(replicas=4)) != ""
    assert denial(world(named, LIMIT, paramKind=KIND, validations=USES), workload(replicas=3)) == ""
    missing = denial(world(named, paramKind=KIND, validations=USES), workload(replicas=3))
    assert missing.endswith(
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    )
    allowed = bound(paramRef={"name": "limit", "parameterNotFoundAction": "Allow"})
    assert denial(world(allowed, paramKind=KIND, validations=USES), workload(replicas=9)) == ""
    selected = bound(paramRef={"selector": {"matchLabels": {"x": "y"}}, "parameterNotFoundAction": "Deny"})
    labelled = {**config_map("limit", labels={"x": "y"}), "data": {"most": "3"}}
    assert (
        denial(
            world(selected, labelled, LIMIT | config_map("other"), paramKind=KIND, validations=USES),
            workload(replicas=4),
        )
        != ""
    )
    assert denial(world(selected, LIMIT, paramKind=KIND, validations=USES), workload(replicas=3)).endswith(
        "parameterNotFoundAction"
    )
    none = world(bound(), LIMIT, paramKind=KIND, validations=[{"expression": "params == null"}])
    assert denial(none, workload()) == ""


def test_an_update_that_changes_nothing_is_not_judged() -> None:
    found = World()
    made = found.make(workload(replicas=9))
    found.make(policy())
    found.make(bound())
    assert found.send(Update(object=made)).ok
    assert denial(found, pod()) == ""


# -- functions --------------------------------------------------------------------------------------------------------

EXPRESSIONS: list[tuple[str, Any]] = [
    ("'a,b,c'.split(',')", ["a", "b", "c"]),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("'a,b'.split(',', 0)", []),
    ("'ab'.split('')", ["a", "b"]),
    ("['a', 'b'].join('-') + ['a', 'b'].join()", "a-bab"),
    ("'aaa'.replace('a', 'b') + 'aaa'.replace('a', 'b', 1)", "bbbbaa"),
    ("'abc'.substring(1) + 'abc'.substring(0, 1)", "bca"),
    ("'abc'.charAt(1) + 'abc'.charAt(3)", "b"),
    ("'aB'.lowerAscii() + 'aB'.upperAscii() + ' x '.trim()", "abABx"),
    ("'abc'.reverse()", "cba"),
    ("'%s %d %.2f %% %x %s %s'.format(['a', 3, 1.5, 255, true, [1, 2]])", "a 3 1.50 % ff true [1, 2]"),
    ("'abc 12'.find('[0-9]+') + 'abc'.find('[0-9]')", "12"),
    ("'a1b2c3'.findAll('[0-9]', 2)", ["1", "2"]),
    ("'a1b2'.findAll('[0-9]')", ["1", "2"]),
    ("[1, 2, 3].sum() + [3, 1].min() + [3, 1].max()", 10),
    ("[1, 2].isSorted() && ![2, 1].isSorted()", True),
    ("[1, 2, 1].indexOf(1) * 10 + [1, 2, 1].lastIndexOf(1)", 2),
    ("[1].indexOf(9) + [1].lastIndexOf(9)", -2),
    ("'abab'.indexOf('b') * 10 + 'abab'.lastIndexOf('b')", 13),
    ("[1, 2, 3].containsAll([1, 3]) && ![1].containsAll([2])", True),
    ("quantity('1Gi').isGreaterThan(quantity('512Mi')) && quantity('1').isLessThan(quantity('1001m'))", True),
    ("quantity('1Gi').compareTo(quantity('1024Mi'))", 0),
    ("quantity('1Gi').add(quantity('1Gi')).compareTo(quantity('2Gi'))", 0),
    ("quantity('3').sub(quantity('1')).asInteger() + quantity('-2').sign()", 1),
    ("isQuantity('1Gi') && !isQuantity('x') && !isQuantity(1)", True),
    ("quantity('2k').isInteger() && !quantity('1500m').isInteger()", True),
    ("quantity('1500m').asApproximateFloat()", 1.5),
    ("url('https://u@ex.com:80/p%20q?a=1&a=2').getScheme()", "https"),
    ("url('https://u@ex.com:80/p').getHost() + url('https://ex.com:80/p').getHostname()", "ex.com:80ex.com"),
    ("url('https://ex.com:80/p').getPort() + url('https://ex.com/p').getPort()", "80"),
    ("url('https://ex.com/p%20q').getEscapedPath()", "/p%20q"),
    ("url('https://ex.com/?a=1&a=2').getQuery()['a']", ["1", "2"]),
    ("isURL('https://x') && isURL('/x') && !isURL('x')", True),
    ("isIP('1.2.3.4') && isIP('::1') && !isIP('x')", True),
    ("isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.1') && !isCIDR('x/1')", True),
]


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS)
def test_functions(expression: str, value: Any) -> None:
    assert evaluated(expression, {}) == value


ERRORS = [
    ("1 +", "Failed to parse expression"),
    ("object.none", "no such key: none"),
    ("1 / 0", "division by zero"),
    ("quantity('1500m').asInteger()", "cannot convert value to integer"),
    ("'abc'.substring(4)", "index out of range"),
    ("'abc'.charAt(9)", "index out of range"),
    ("url('x')", "URL parse error: x"),
    ("nobody", "Undefined variable"),
]


@pytest.mark.parametrize(("expression", "text"), ERRORS)
def test_expressions_that_come_to_nothing(expression: str, text: str) -> None:
    with pytest.raises(CelError) as error:
        evaluated(expression, {"object": {}})
    assert text in str(error.value) and "\n" not in str(error.value)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_there()
    compiled.cache_clear()
    monkeypatch.setattr(evaluate, "_library", lambda: None)
    with pytest.raises(CelError, match=r"expected: pip install 'k8sfsm\[cel\]'"):
        evaluated("true", {})
    assert not evaluate.is_there()
    monkeypatch.undo()
    compiled.cache_clear()
