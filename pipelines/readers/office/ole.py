"""What an Office file of before 2007 says of itself."""

from __future__ import annotations

import struct
from pathlib import Path

from ragline.pipelines.readers.office.package import MAX_ABOUT_CHARS
from ragline.types import Json


def ole_about(path: Path) -> dict[str, Json]:
    """Return title, author, subject and date under the names of `Parsed.about`; nothing where they cannot be read."""
    import olefile  # type: ignore[import-untyped]  # has no types

    with olefile.OleFileIO(str(path)) as container:
        try:
            said = container.get_metadata()
        except (
            OSError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            OverflowError,
            struct.error,
        ):  # a damaged property makes olefile stumble over
            return {}
    found: dict[str, Json] = {}
    for name, value in (("title", said.title), ("author", said.author), ("subject", said.subject)):
        if isinstance(value, bytes) and (text := " ".join(_decoded(value, said.codepage).split())):
            found[name] = text[:MAX_ABOUT_CHARS]
    changed = said.last_saved_time
    if changed is not None and changed.year > 1980:
        found["date"] = changed.isoformat()
    return found


def _decoded(value: bytes, codepage: int | None) -> str:
    encoding = "utf-8" if codepage in (65001, -535) else f"cp{codepage}" if codepage and codepage > 0 else "cp1252"
    try:
        return value.decode(encoding).rstrip("\0")
    except (UnicodeDecodeError, LookupError):
        return value.decode("cp1252", "replace").rstrip("\0")
