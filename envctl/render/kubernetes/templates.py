"""The objects as Jinja2 templates of YAML, and as YAML for people; a project's own `templates/kubernetes/` wins over ours.

A value never becomes a part of the YAML: an expression leaves a mark in the text, and the value takes its place when the text has been
read. So no value needs quoting, whatever it holds, and texts that differ in values alone are read once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FunctionLoader, StrictUndefined, TemplateError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from envctl.errors import UsageError
from envctl.files.folders import FileRefused
from envctl.files.package_data import templates
from envctl.files.reading import read_file

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Object = dict[str, Any]
_MARK = re.compile("\ue000(\\d+)\ue001")
_VALUES = "values of this rendering"


class Templates:
    """The templates of a project, each compiled once."""

    def __init__(self, project: Path) -> None:
        self._folders = [project / "templates" / "kubernetes", templates("kubernetes")]
        self._environment = ImmutableSandboxedEnvironment(
            loader=FunctionLoader(self._source), undefined=StrictUndefined, autoescape=False, finalize=_marked, auto_reload=False
        )

    def _source(self, name: str) -> str | None:
        for folder in self._folders:
            try:
                return read_file(folder / name, folder, largest=1_000_000).decode()
            except FileNotFoundError:
                continue
            except (FileRefused, OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{folder / name} cannot be read: {error}") from None
        return None

    def render(self, name: str, /, **values: Any) -> Object:
        """The object that `NAME.yaml.j2` makes of *values*.

        Raises:
            UsageError: the template, or the YAML that it makes, is wrong.
        """
        kept: list[Any] = []
        try:
            text = self._environment.get_template(f"{name}.yaml.j2").render({**values, _VALUES: kept})
        except TemplateError as error:
            raise self._wrong(name, f"{type(error).__name__}: {error}") from None
        try:
            found = filled(_read(text), kept)
        except yaml.YAMLError as error:
            raise self._wrong(name, " ".join(str(error).split())) from None
        if not isinstance(found, dict) or not _complete(found):
            raise self._wrong(name, "no object: it wants `apiVersion`, `kind` and `metadata` with a `name`")
        return found

    def _wrong(self, name: str, what: str) -> UsageError:
        file = next((folder / f"{name}.yaml.j2" for folder in self._folders if (folder / f"{name}.yaml.j2").is_file()), Path(name))
        return UsageError(f"{file}: {what}")


@pass_context
def _marked(context: Context, value: Any) -> Any:
    kept: list[Any] = context[_VALUES]
    if isinstance(value, StrictUndefined):
        str(value)  # raises
    kept.append(value)
    return f"\ue000{len(kept) - 1}\ue001"


@lru_cache(maxsize=256)
def _read(text: str) -> Any:
    return yaml.load(text, _LOADER)


def filled(tree: Any, values: list[Any]) -> Any:
    """A copy of *tree* with values where their marks are."""
    if isinstance(tree, str):
        whole = _MARK.fullmatch(tree)
        return values[int(whole[1])] if whole else _MARK.sub(lambda mark: str(values[int(mark[1])]), tree)
    if isinstance(tree, dict):
        return {filled(key, values): filled(value, values) for key, value in tree.items()}
    return [filled(item, values) for item in tree] if isinstance(tree, list) else tree


def _complete(found: Mapping[str, Any]) -> bool:
    """Whether it is an object; pods and containers are parts of one."""
    if "apiVersion" not in found and "kind" not in found:
        return "spec" in found or "image" in found
    return bool(found.get("apiVersion") and found.get("kind") and (found.get("metadata") or {}).get("name"))


_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    """A block where YAML can write the text as one: no blanks at the ends of lines, nothing but what prints."""
    block = "\n" in text and " \n" not in text and "\t" not in text and text.strip("\n ") != "" and not text.endswith(" ")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None)


_Dumper.add_representer(str, _text)


def yaml_text(object: Object) -> str:
    return str(yaml.dump(object, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30, explicit_start=True))
