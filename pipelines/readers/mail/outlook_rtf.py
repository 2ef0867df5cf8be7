"""RTF as Outlook compresses it in its mails (MS-OXRTFCP)."""

from __future__ import annotations

import struct

_LZFU, _MELA = b"LZFu", b"MELA"
_RTF_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u"
    rb"\tab\tx"
)
"""What the dictionary of compressed RTF begins with: MS-OXRTFCP, 2.2.2.1."""
_WINDOW = 4096


def decompressed(data: bytes) -> bytes:
    """Return RTF as it was before Outlook compressed it (MS-OXRTFCP). Raises ValueError."""
    if len(data) < 16:
        raise ValueError("compressed RTF that is too short")
    size, _, kind, _ = struct.unpack_from("<LL4sL", data)
    if kind == _MELA:
        return data[16:]
    if kind != _LZFU:
        raise ValueError("no compressed RTF")
    window, at = bytearray(_RTF_START.ljust(_WINDOW, b"\0")), len(_RTF_START)
    out, position, end = bytearray(), 16, min(len(data), size + 4)
    while position < end:
        flags, position = data[position], position + 1
        for bit in range(8):
            if position >= end:
                break
            if not flags >> bit & 1:
                run, position = data[position : position + 1], position + 1
            else:
                pair, position = int.from_bytes(data[position : position + 2], "big"), position + 2
                start = pair >> 4
                if start == at:
                    return bytes(out)
                run = _copied(window, start, (pair & 15) + 2, at)
            for byte in run:
                window[at] = byte
                at = (at + 1) % _WINDOW
            out += run
    return bytes(out)


def _copied(window: bytearray, start: int, length: int, at: int) -> bytes:
    """Return bytes of the window, which may be those that are being written."""
    distance = (at - start) % _WINDOW
    return bytes(window[(start + index % distance) % _WINDOW] for index in range(length))
