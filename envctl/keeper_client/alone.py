"""Instances whose keeper runs though their state is gone."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from urllib.parse import unquote

from envctl.instance import labels
from envctl.instance.identity import ID
from envctl.keeper_client.starting import ABOUT

KEPT = (labels.NAME, labels.INSTANCE, labels.PROJECT, labels.OWNER, labels.ENVIRONMENT, labels.ENGINE)


def labels_of_keepers() -> dict[str, dict[str, str]]:
    """The labels of instances whose keeper runs, by id: also of those whose state somebody has deleted.

    An environment is what whoever started the process says: only our own processes are asked, and what is no id is no path either.
    """
    from envctl.keeper.system import variables

    told = [values.get(ABOUT, "") for pid, values in variables([ABOUT]).items() if _is_ours(pid)]
    found = [read for text in told if (read := _labels(text))]
    return {each[labels.INSTANCE]: each for each in found}


def _is_ours(pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid() if os.path.isdir("/proc/self") else True
    except OSError:
        return False


def _labels(text: str) -> dict[str, str]:
    with suppress(ValueError):
        found = json.loads(unquote(text))
        if isinstance(found, dict) and ID.fullmatch(str(found.get(labels.INSTANCE))):
            return {key: str(found.get(key, "")) for key in KEPT}
    return {}
