"""The text of a mail: its lines as they were written, invitations, signatures, and what only stands in for HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

_STUB_CHARS = 400
_STUB_SHARE = 4
"""A plain text this short, beside HTML this many times as long, only says that there is HTML."""
_TAG = re.compile(r"<[^<>]*>")
_PGP_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_PGP_SIGNED = re.compile(r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[^\n]+\n){0,20}\n")
_EVENT = re.compile(r"(SUMMARY|DTSTART|DTEND|LOCATION|ORGANIZER|ATTENDEE|DESCRIPTION)(;[^:\n]*)?:(.*)")


def is_stub(plain: str, html: str) -> bool:
    """Tell whether a plain text only stands in for the HTML beside it."""
    shown = len(plain.strip())
    return not shown or (shown < _STUB_CHARS and len(_TAG.sub("", html)) > _STUB_SHARE * shown)


def unflowed(text: str, *, delsp: bool) -> str:
    """Return a text whose lines were broken for sending with its own lines (RFC 3676)."""
    joined: list[list[str]] = []
    flowing: int | None = None
    for line in text.split("\n"):
        rest = line.lstrip(">")
        depth = len(line) - len(rest)
        rest = rest.removeprefix(" ")
        goes_on = rest.endswith(" ") and rest != "-- "
        written = rest[:-1] if goes_on and delsp else rest
        if flowing == depth and rest != "-- ":
            joined[-1].append(written)
        else:
            joined.append([">" * depth, " ", written] if depth else [written])
        flowing = depth if goes_on else None
    return "\n".join("".join(pieces) for pieces in joined)


def event(text: str) -> Iterator[str]:
    """Yield what an invitation says, a line for each property (RFC 5545)."""
    for line in text.replace("\n ", "").replace("\n\t", "").split("\n"):
        if found := _EVENT.match(line):
            value = found[3].replace("\\n", "\n").replace("\\N", "\n").replace("\\,", ",").replace("\\;", ";")
            yield f"{found[1].capitalize()}: {value}"


def unsigned(text: str) -> str:
    """Return a text without the frame of an OpenPGP signature."""
    return _PGP_SIGNED.sub("", text).partition(_PGP_SIGNATURE)[0]
