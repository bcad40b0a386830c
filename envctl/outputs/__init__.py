"""Outputs as text: one module a format, each with `text(values)`; the files of `write:` are kept with them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.engines.registry import traits
from envctl.errors import UsageError, did_you_mean
from envctl.instance.record import Record

if TYPE_CHECKING:
    from envctl.instance.record import Record

FORMATS = ("dotenv", "shell", "json", "github", "properties")


def formatted(format: str, values: Mapping[str, str]) -> str:
    """*values* in *format*, each line ended.

    Raises:
        UsageError: there is no such format.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no format '{format}'", hint=did_you_mean(format, FORMATS))
    text: str = import_module(f"envctl.outputs.{format}").text(values)
    return text


def write_outputs(record: Record) -> None:
    """The files of `write:` hold the outputs of *record*; without outputs they are emptied.

    Raises:
        UsageError: one cannot be written.
    """
    folder = Path(record.file).parent
    for name, format in record.write.items():
        path = folder / name
        if not record.outputs and not path.exists():
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # a new one: there are passwords in it
            path.write_text(formatted(format, record.outputs) if record.outputs else "", "utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}", hint="`write:` names the files that hold the outputs") from None


def process_variables(record: Record) -> dict[str, str]:
    """The variables that say which instance it is, and where."""
    told = {"ENVCTL_NAME": record.name, "ENVCTL_INSTANCE": record.id, "ENVCTL_ENGINE": record.engine}
    where = {"ENVCTL_CONTEXT": record.context, "ENVCTL_NAMESPACE": record.namespace} if traits(record.engine).shares_namespaces else {}
    return told | {key: value for key, value in where.items() if value}
