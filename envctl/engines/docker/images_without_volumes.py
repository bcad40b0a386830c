"""A copy of a server's image without its `VOLUME`, so that the image of a snapshot can contain the data at its usual path.

`docker commit` leaves out what is below a `VOLUME`, and Docker cannot remove a `VOLUME` from an image. So the image is loaded again
with other settings. If the daemon has its layers, it reads only these settings, however large the image is. Daemons that store images
in containerd require the layers, and refuse it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, cast

from envctl.engines.docker.connection import Connection, sdk_errors

LOADED = re.compile(r"Loaded image ID: (sha256:[0-9a-f]{64})")
"""The daemon's answer, which names the image that it has loaded."""


def without_volumes(connection: Connection, image: str, labels: Mapping[str, str]) -> str:
    """Load a copy of *image* without volumes, and return its id (it has no name); empty if the daemon refuses it.

    Args:
        labels: the labels that the copy has besides those of *image*.
    """
    api = cast(Any, connection.api)
    try:
        answer = api.load_image(_packed(api.inspect_image(image), labels))
        lines = [str(line.get("stream") or "") for line in answer or () if isinstance(line, Mapping)]
    except (sdk_errors.DockerException, OSError, ValueError):  # refused, or answered by something else than Docker
        return ""
    return next((found[1] for line in lines if (found := LOADED.search(line))), "")


def _packed(seen: Mapping[str, Any], labels: Mapping[str, str]) -> bytes:
    """Return the image as `docker save` would write it, but without its layers.

    Args:
        seen: the image, as the daemon describes it.
    """
    told = seen["Config"]
    config = {
        "config": {**told, "Volumes": None, "Labels": {**(told.get("Labels") or {}), **labels}},
        "created": seen.get("Created"),
        "rootfs": {"type": "layers", "diff_ids": seen["RootFS"]["Layers"]},
        **{name: seen[key] for name, key in (("architecture", "Architecture"), ("os", "Os"), ("variant", "Variant")) if seen.get(key)},
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in _files(json.dumps(config).encode(), len(seen["RootFS"]["Layers"])):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _files(config: bytes, layers: int) -> Iterator[tuple[str, bytes]]:
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    yield name, config
    image = {"Config": name, "RepoTags": None, "Layers": [f"{number}/layer.tar" for number in range(layers)]}
    yield "manifest.json", json.dumps([image]).encode()
