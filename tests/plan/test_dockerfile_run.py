"""The command of a Dockerfile, proposed as a `run:`."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.definition.models import Build
from envctl.plan.dockerfile_run import proposed_run


@pytest.mark.parametrize(
    ("text", "proposed"),
    [
        (
            'CMD ["uvicorn", "app:app", "--host", "0.0.0.0", "--port", "8000"]',
            "run: uvicorn app:app --host ${self.bind} --port ${self.port}",
        ),
        ("CMD node server.js --port=8000", "run: node server.js --port=${self.port}"),
        ('ENTRYPOINT ["python", "-m"]\nCMD ["shop", "a b"]', "run: python -m shop 'a b'"),
        ("CMD old\nCMD new 80001", "run: new 80001"),
        ("RUN x", ""),
        ("CMD [broken", ""),
    ],
)
def test_the_last_command_counts(tmp_path: Path, text: str, proposed: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM python\n{text}\n")
    assert proposed_run(".", tmp_path, tmp_path, 8000) == proposed


def test_another_file_and_none(tmp_path: Path) -> None:
    (tmp_path / "api.Dockerfile").write_text("FROM x\nCMD serve\n")
    assert proposed_run(Build(dockerfile="api.Dockerfile"), tmp_path, tmp_path, None) == "run: serve"
    assert proposed_run(None, tmp_path, tmp_path, None) == ""
