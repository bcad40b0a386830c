"""Tests of the objects of a shared cluster, without a cluster: their names, order, rights, and whom the policies restrict."""

from __future__ import annotations

from typing import Any

import pytest

from envctl.cluster.manifests import cluster_objects
from envctl.engines.kubernetes.binding import ROLE, role_binding
from envctl.errors import UsageError

EVERYTHING = cluster_objects("platform", ["team-a"])


def rules(name: str) -> list[dict[str, Any]]:
    roles = (item for item in EVERYTHING if item["kind"] in ("Role", "ClusterRole"))
    return next(list(item["rules"]) for item in roles if item["metadata"]["name"] == name)


def rights(name: str) -> set[tuple[str, str, str]]:
    """Return the API group, resource and verb of each right of the role *name*."""
    return {
        (group, what, verb) for rule in rules(name) for group in rule["apiGroups"] for what in rule["resources"] for verb in rule["verbs"]
    }


def test_policies_come_before_the_rights_that_they_limit() -> None:
    kinds = [item["kind"] for item in EVERYTHING]
    assert kinds[0] == "Namespace"
    last_policy = max(index for index, kind in enumerate(kinds) if kind == "ValidatingAdmissionPolicyBinding")
    assert last_policy < min(index for index, kind in enumerate(kinds) if kind == "ClusterRoleBinding")


def test_another_namespace_takes_the_place_of_ours_everywhere() -> None:
    text = str(EVERYTHING)
    assert "envctl-system" not in text
    assert "team-tests" not in text
    assert "system:serviceaccounts:platform" in text
    assert ROLE in {item["metadata"]["name"] for item in cluster_objects()}, "what `up` binds itself to is what is installed"


@pytest.mark.parametrize("name", ["Team", "a_b", "", "-a", "a" * 41, "a.b"])
def test_what_is_no_name_of_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid name of a namespace"):
        cluster_objects("platform", [name])


def test_the_provisioner_has_nothing_but_namespaces_and_one_binding() -> None:
    assert {(what, verb) for _, what, verb in rights("platform-provisioner")} == {
        *(("namespaces", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")),
        *(("rolebindings", verb) for verb in ("get", "create", "patch")), ("clusterroles", "bind"),
    }  # fmt: skip
    assert [rule["resourceNames"] for rule in rules("platform-provisioner") if "bind" in rule["verbs"]] == [["platform-instance"]]
    bound = {item["roleRef"]["name"] for item in EVERYTHING if item["kind"] == "ClusterRoleBinding"}
    assert bound == {"platform-provisioner", "platform-reaper"}, "nobody has the rights of an instance in the whole cluster"


def test_the_reaper_may_list_and_delete_namespaces_alone() -> None:
    assert {(what, verb) for _, what, verb in rights("platform-reaper")} == {("namespaces", "list"), ("namespaces", "delete")}


def test_no_role_has_more_than_it_names() -> None:
    for item in EVERYTHING:
        if item["kind"] in ("Role", "ClusterRole"):
            found = rights(item["metadata"]["name"])
            assert not any("*" in right for right in found)
            assert any(what == "pods/exec" for _, what, _ in found) == (item["metadata"]["name"] == "envctl-exec")


def test_every_policy_is_bound_refuses_what_it_cannot_decide_and_holds_for_all_our_accounts() -> None:
    policies = [item for item in EVERYTHING if item["kind"] == "ValidatingAdmissionPolicy"]
    bindings = {item["spec"]["policyName"]: item["spec"] for item in EVERYTHING if item["kind"] == "ValidatingAdmissionPolicyBinding"}
    assert {item["metadata"]["name"] for item in policies} == set(bindings)
    assert all(spec["validationActions"] == ["Deny"] for spec in bindings.values())
    for item in policies:
        assert item["spec"]["failurePolicy"] == "Fail"
        (condition,) = item["spec"]["matchConditions"]
        assert "system:serviceaccounts:platform" in condition["expression"]
        assert all("message" in each for each in item["spec"]["validations"])


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("system:serviceaccount:ci:runner", {"kind": "ServiceAccount", "namespace": "ci", "name": "runner"}),
        ("jane@example.org", {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane@example.org"}),
    ],
)
def test_whoever_makes_a_namespace_is_bound_there(user: str, subject: dict[str, str]) -> None:
    found = role_binding("ns", "role", user)
    assert found["subjects"] == [subject]
    assert found["metadata"]["name"] != role_binding("ns", "role", "another")["metadata"]["name"]


def test_a_team_needs_nothing_of_the_cluster() -> None:
    found = cluster_objects(teams=["team-a"], teams_only=True)
    assert {item["metadata"]["namespace"] for item in found} == {"team-a"}
    (reaper,) = (item for item in found if item["kind"] == "CronJob")
    pod = reaper["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert {"name": "NAMESPACE", "value": "team-a"} in pod["containers"][0]["env"]
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    (role,) = (item for item in found if item["kind"] == "Role" and item["metadata"]["name"] == pod["serviceAccountName"])
    assert [(rule["resources"], rule["verbs"]) for rule in role["rules"]] == [(["secrets"], ["list", "delete"])]
