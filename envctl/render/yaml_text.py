"""Write manifests as YAML that all parsers read alike. YAML 1.1 and 1.2 disagree about the type of some unquoted words."""

from __future__ import annotations

import re
from typing import Any

import yaml

_AMBIGUOUS = re.compile(
    r"""[-+]?(0x[0-9a-f_]+|0b[01_]+|0o?[0-7_]+
        |[0-9][0-9_,:]*(\.[0-9_]*)?(e[-+]?[0-9]+)?|\.[0-9_]+(e[-+]?[0-9]+)?|\.inf|\.nan)
      |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*
      |y|n|yes|no|on|off|true|false|null|~|=|<<|""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""Texts that some parser reads as a number, a boolean, a date or null. PyYAML alone would quote only those of its own dialect."""
_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    """Represent a text of several lines as a literal block where YAML allows one, and quote a text that a parser could misread."""
    block = "\n" in text and " \n" not in text and "\t" not in text and text.strip("\n ") != "" and not text.endswith(" ")
    style = "'" if _AMBIGUOUS.fullmatch(text) else "|" if block else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(document: Any, *, separated: bool = False) -> str:
    """Return *document* as YAML text. With *separated*, it begins with `---`, so that several documents fit in one file."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30, explicit_start=separated))
