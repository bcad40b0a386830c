"""Errors as a user reads them: what, where, the evidence, what to try."""

from __future__ import annotations

import sys

from envctl.errors import DefinitionError, EnvctlError, Evidence, ServiceFailed
from envctl.session.masking import Mask


def print_error(error: EnvctlError, mask: Mask) -> None:
    print(mask(describe(error)), file=sys.stderr)


def describe(error: EnvctlError) -> str:
    if isinstance(error, DefinitionError):
        count = len(error.problems)
        return f"{error}\nenvctl: {count} mistake{'s' if count != 1 else ''}; nothing was started"
    lines = [f"envctl: {error.message}"]
    if isinstance(error, ServiceFailed) and error.evidence is not None:
        lines += _evidence(error.evidence)
    if error.hint:
        lines.append(f"  {error.hint}")
    return "\n".join(lines)


def _evidence(evidence: Evidence) -> list[str]:
    lines = [f"  service    {evidence.service}", f"  step       {evidence.step}"]
    lines += [f"  probe      {text}" for text in evidence.history]
    if evidence.exit_status is not None:
        lines.append(f"  exit code  {evidence.exit_status}")
    if evidence.logs:
        lines += [f"  last {len(evidence.logs)} lines:"] + [f"    {line}" for line in evidence.logs]
    elif evidence.step not in ("pull", "build"):
        lines.append("  it printed nothing")
    if evidence.advice:
        lines.append(f"  try        {evidence.advice}")
    return lines
