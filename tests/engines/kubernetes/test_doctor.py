"""The findings of `envctl doctor` about a cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envctl.engines.kubernetes import doctor
from envctl.session import Session


@pytest.mark.parametrize(("content", "ok"), [("current-context: lab\n", True), ("current-context: ''", False), ("[", False), ("\0", False)])
def test_the_context_of_the_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, ok: bool) -> None:
    monkeypatch.setattr(doctor, "_cluster", lambda environ: iter(()))  # the next tests check the cluster itself
    file = tmp_path / "config"
    file.write_text(content)
    environ = {"KUBECONFIG": f"{tmp_path / 'none'}{os.pathsep}{file}"}
    found = [finding for finding in doctor.findings(Session(environ, tmp_path).host) if "context" in finding.text]
    assert [(finding.ok, finding.needed) for finding in found] == [(ok, True)]


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "current-context: lab\ncontexts: [{name: lab, context: {cluster: lab}}]\n"
        "clusters: [{name: lab, cluster: {server: 'http://127.0.0.1:9'}}]\n"
    )
    found = list(doctor.findings(Session({"KUBECONFIG": str(tmp_path / "config")}, tmp_path).host))
    assert [finding.ok for finding in found if finding.needed] == [True, False]
    assert "127.0.0.1:9" in found[-1].text


@pytest.mark.kubernetes
def test_a_cluster_that_answers(tmp_path: Path) -> None:
    found = list(doctor.findings(Session(dict(os.environ), tmp_path).host))
    assert all(finding.ok for finding in found if finding.needed), found
    assert any(finding.text.startswith("the rights that `up` needs are there") for finding in found)
