"""Files inside files: how they are called, and their bytes in a temporary file, counted as they come out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ragline.errors import OverLimit
from ragline.pipelines.reading import MAX_RATIO, RATIO_FROM_BYTES, Reading

MAX_LABEL_CHARS = 300
_BLOCK_BYTES = 1 << 18
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Control characters, marks without a width or that turn the direction of writing around, and halves of characters."""
_DRIVE = re.compile(r"[A-Za-z]:")


class Unpacking:
    """Counts what comes out of one packed file, for itself and for the document that it lies in."""

    def __init__(self, reading: Reading, packed_bytes: int) -> None:
        self._budget = reading.budget
        self._packed_bytes = packed_bytes
        self._bytes = 0

    def take(self, unpacked: int) -> None:
        """Count bytes. Raises OverLimit for more than a document may unpack to, or than any real one of its size."""
        self._budget.take_bytes(unpacked)
        self._bytes += unpacked
        check_ratio(self._bytes, self._packed_bytes)


def check_ratio(unpacked_bytes: int, packed_bytes: int) -> None:
    """Raise OverLimit for a bomb."""
    if unpacked_bytes > RATIO_FROM_BYTES and unpacked_bytes > MAX_RATIO * packed_bytes:
        raise OverLimit(
            f"unpacks to more than {MAX_RATIO} times its size and is taken for a zip bomb; "
            "if it is none, unpack it and send the files in it"
        )


@contextmanager
def temporary() -> Iterator[Path]:
    """Give the path of a file that may be written, in a folder of its own that goes at the end of the block."""
    with TemporaryDirectory(prefix="ragline-") as folder:
        yield Path(folder) / "file"  # never a name of theirs


def write(read: Callable[[int], bytes], path: Path, take: Callable[[int], None]) -> None:
    """Write what `read` gives to a file; `take` is told the size of each block before it is written."""
    with path.open("wb") as target:
        while block := read(_BLOCK_BYTES):
            take(len(block))
            target.write(block)


def label(path: str, otherwise: str) -> str:
    """Return how the path of a file inside another is shown: no roots, no steps upwards, at most 300 characters.

    It is never a path of this machine. `otherwise` stands for one of which nothing is left.
    """
    shown = unicodedata.normalize("NFC", _UNSHOWN.sub("", path[-4 * MAX_LABEL_CHARS :])).replace("\\", "/")
    steps = [step.strip() for step in shown.split("/")]
    kept = "/".join(step for step in steps if step not in ("", ".", "..") and not _DRIVE.fullmatch(step))
    return (kept if len(kept) <= MAX_LABEL_CHARS else "…" + kept[1 - MAX_LABEL_CHARS :]) or otherwise


def climbs(path: str) -> bool:
    """Tell whether a path leads out of the folder that it is relative to."""
    depth = 0
    for step in re.split(r"[/\\]", path):
        depth += {"": 0, ".": 0, "..": -1}.get(step, 1)
        if depth < 0:
            return True
    return False
