"""Tests of `envctl report`."""

from __future__ import annotations

import json

from tests.support import Project


def test_report(project: Project) -> None:
    project.write("report/a.xml", '<testsuite><testcase name="a"/></testsuite>')
    assert project.envctl("report", "report", "--history", "kept/history.json").ok().out.startswith("## Tests: 1 passed in 0.0 s")
    project.write("report/a.xml", '<testsuite><testcase name="a"><failure/></testcase></testsuite>')
    project.envctl("report", "report", "--history", "kept/history.json", "--json", "-o", "out/summary.json").ok()
    told = json.loads((project.folder / "out" / "summary.json").read_text())
    assert told["flaky"] == [{"test": "a", "runs": "+-", "in_this_run": False}]
    project.write("report/b.xml", "<testsuite>")
    done = project.envctl("report", "report")
    assert (done.status, "1 red" in done.out) == (1, True)
    assert "report/b.xml:1: not valid XML" in done.err
    assert project.envctl("report", "report", "-o", "/proc/none/x").status == 2
