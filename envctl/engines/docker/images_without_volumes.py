"""A server's image as it is, but for its `VOLUME`, below which nothing can be kept: the data of a snapshot then lies where it always does.

Docker takes no `VOLUME` back, so the image is loaded anew. Of one whose layers are here it reads the settings alone: this takes as
long for a large one. Daemons that keep images in containerd want the layers, too, and refuse it.
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


def without_volumes(connection: Connection, image: str, labels: Mapping[str, str]) -> str:
    """The id of an image that has no name; empty where this daemon makes none.

    Args:
        labels: what it carries besides those of *image*.
    """
    api = cast(Any, connection.api)
    try:
        answer = api.load_image(_packed(api.inspect_image(image), labels))
        lines = [str(line.get("stream") or "") for line in answer or () if isinstance(line, Mapping)]
    except sdk_errors.APIError:
        return ""
    return next((found[1] for line in lines if (found := LOADED.search(line))), "")


def _packed(seen: Mapping[str, Any], labels: Mapping[str, str]) -> bytes:
    """As `docker save` writes it, without its layers.

    Args:
        seen: the image, as the daemon shows it.
    """
    told = seen["Config"]
    config = {
        "config": {**told, "Volumes": None, "Labels": {**(told.get("Labels") or {}), **labels}},
        "created": seen["Created"],
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
