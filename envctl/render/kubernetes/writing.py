"""Objects as YAML for people: texts of several lines as blocks, no anchors."""

from __future__ import annotations

from typing import Any

import yaml

from envctl.render.kubernetes.objects import Object

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
    """One document."""
    return str(yaml.dump(object, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30, explicit_start=True))
