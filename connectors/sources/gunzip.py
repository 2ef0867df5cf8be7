"""Unpacking gzip without trusting how large it says it is."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

BLOCK_BYTES = 1 << 16


class Gunzip:
    """Unpacks gzip in blocks of at most `BLOCK_BYTES`, however much a packed block holds."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` unpacks to. Raises zlib.error."""
        self._fed = self._fed or bool(data)
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)  # members may follow one another
            block = self._member.decompress(data, BLOCK_BYTES)
            while block:
                yield block
                data = self._member.unconsumed_tail
                block = self._member.decompress(data, BLOCK_BYTES)
            data = self._member.unused_data

    def end(self) -> None:
        """Raise zlib.error if the data broke off."""
        if self._fed and not self._member.eof:
            raise zlib.error("the packed data breaks off")
