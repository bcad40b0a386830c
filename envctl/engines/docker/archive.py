"""Files of a container as one tar: a single request, where Compose's configs take 60 ms each."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping

from envctl.plan.model import File


def archive(files: Mapping[str, File]) -> bytes:
    """A tar of *files*: readable by every user, executable where they are here."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, file in files.items():
            content = file.text.encode() if file.text is not None else file.source.read_bytes()  # type: ignore[union-attr]
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755 if file.source is not None and os.access(file.source, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
