"""The names of files: what a client or a source calls them, made fit to be shown."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath

from ragline.errors import BadInput

MAX_NAME_CHARS = 200
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks that turn the direction of writing around."""


def clean_name(name: str) -> str:
    """Return the last part of a path from any system, without what cannot be printed, bounded in length.

    Raises BadInput when nothing is left of it.
    """
    base = PureWindowsPath(PurePosixPath(name).name).name
    base = UNPRINTABLE.sub("", base).strip()
    if base in ("", ".", ".."):
        raise BadInput(f"the file has no usable name: {name[:MAX_NAME_CHARS]!r}")
    if len(base) > MAX_NAME_CHARS:
        suffix = PurePosixPath(base).suffix[:20]
        base = base[: MAX_NAME_CHARS - len(suffix)] + suffix
    return base
