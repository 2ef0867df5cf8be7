"""How wide a text is where all letters are alike: on terminals, and about so in drawings."""

from __future__ import annotations

import unicodedata


def wide(text: str) -> int:
    """Return how many columns a text takes: letters of the Far East take two, accents of their own none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, width: int) -> str:
    """Return a text in at most so many columns; of a longer one the beginning and `…`."""
    taken = 0
    for position, char in enumerate(text):
        taken += wide(char)
        if taken >= width and (taken > width or position + 1 < len(text)):
            return f"{text[:position].rstrip()}…"
    return text
