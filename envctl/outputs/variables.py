"""What a test process receives beside the outputs."""

from __future__ import annotations

from envctl.engines.registry import traits
from envctl.instance.record import Record


def process_variables(record: Record) -> dict[str, str]:
    """The variables that say which instance it is, and where."""
    told = {"ENVCTL_NAME": record.name, "ENVCTL_INSTANCE": record.id, "ENVCTL_ENGINE": record.engine}
    where = {"ENVCTL_CONTEXT": record.context, "ENVCTL_NAMESPACE": record.namespace} if traits(record.engine).shares_namespaces else {}
    return told | {key: value for key, value in where.items() if value}
