"""Office files that need a password, decrypted into a temporary file for as long as they are read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse_types import OLE
from ragline.pipelines.readers.archives.inside import temporary
from ragline.pipelines.reading import MAX_RATIO, NEEDS_PASSWORD, RATIO_FROM_BYTES, WRONG_PASSWORD, Options, Reading

_READ_PASSWORD_OF_EXCEL = "VelvetSweatshop"  # what Excel uses for workbooks that are only protected against changes


@contextmanager
def unlocked(reading: Reading) -> Iterator[Path]:
    """Give the path of the Office file without its password: its own, or that of a copy that goes with the block.

    Raises ParseFailed where the password is missing or wrong.
    """
    with reading.path.open("rb") as file:
        head = file.read(len(OLE))
    if head != OLE:
        yield reading.path
        return
    with reading.path.open("rb") as file, temporary() as copy:
        if not _decrypted(reading, file, copy):
            yield reading.path
            return
        if zipfile.is_zipfile(copy):
            check_zip(copy, reading.options)
        yield copy


def check_zip(path: Path, options: Options) -> None:
    """Raise OverLimit for what says that it unpacks to too much; zipfile gives no more than a member says."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    unzipped = sum(member.file_size for member in members)
    zipped = sum(member.compress_size for member in members)
    most = options.max_unpacked_bytes
    if unzipped > most or (unzipped > RATIO_FROM_BYTES and unzipped > MAX_RATIO * zipped):
        raise OverLimit(
            f"unpacks to {unzipped >> 20} MiB, {unzipped // max(zipped, 1)} times its size, and is taken for a zip "
            f"bomb; allowed are {most >> 20} MiB and {MAX_RATIO} times"
        )


def _decrypted(reading: Reading, file: IO[bytes], copy: Path) -> bool:
    """Write the decrypted file to `copy`; False for one that is not encrypted."""
    import msoffcrypto  # type: ignore[import-untyped]  # has no types
    from msoffcrypto.exceptions import DecryptionError, FileFormatError, InvalidKeyError  # type: ignore[import-untyped]

    try:
        office = msoffcrypto.OfficeFile(file)
        if not office.is_encrypted():
            return False
    except FileFormatError:
        return False
    for password in filter(None, (reading.options.password, _READ_PASSWORD_OF_EXCEL)):
        try:
            office.load_key(password=password)
            with copy.open("wb") as target:
                office.decrypt(_Counted(target, reading))
            return True
        except (InvalidKeyError, DecryptionError):
            continue
    raise ParseFailed(WRONG_PASSWORD if reading.options.password else NEEDS_PASSWORD)


class _Counted:
    """A file that is written to under the budget of the document."""

    def __init__(self, target: IO[bytes], reading: Reading) -> None:
        self._target = target
        self._reading = reading

    def write(self, data: bytes) -> int:
        self._reading.budget.take_bytes(len(data))
        return self._target.write(data)
