"""What helps with what a server says of a seed: mistakes that whole dumps and spreadsheets bring along."""

from __future__ import annotations

import re

ADVICE = "correct it and bring it up again; with --keep the data stays for a look"
_KNOWN = (
    (
        r"SET USER privilege|SUPER privilege|specified as a definer",
        "the dump's DEFINER is another account: `with: {username: root}` loads it as root, or take the DEFINER clauses out",
    ),
    (
        r"\\i(?:r|nclude(?:_relative)?)?\b|backslash commands are restricted",
        "this file is sent alone: `\\i` and `\\ir` find nothing; name the folder (`sql: FOLDER`), or each file in a step of its own",
    ),
    (
        r"column \"[^\"]*[;\t][^\"]*\"|Unknown column '[^']*[;\t]",
        "the header of this CSV has no commas: save it separated by commas",
    ),
    (
        r"column \"(?:\ufeff|\s|[^\"]*\s\")|Unknown column '(?:\ufeff|\s|[^']*\s')",
        "a name in the header begins or ends with a blank: take it out",
    ),
    (r"role \"[^\"]*\" does not exist", "the dump names roles of another server: `pg_dump --no-owner --no-privileges` leaves them out"),
)


def advice_for(output: str) -> str:
    """What would help with *output*; where nothing is known, how to look at it."""
    return next((advice for pattern, advice in _KNOWN if re.search(pattern, output)), ADVICE)
