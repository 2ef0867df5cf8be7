"""Headers and footers of pages: each different one once, without those that only number the pages."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"(?:page|p\.|[\s\d/|–—-]|\b(?:of|sur|de|von)\b)*+", re.IGNORECASE)


class Heads:
    """Those that were seen."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def new(self, text: str) -> str:
        """Return the lines that say more than the number of the page; empty for a text that came before."""
        lines = [line for line in text.splitlines() if not _PAGE_NUMBER.fullmatch(line)]
        same = " ".join(_DIGITS.sub("", " ".join(lines)).split())
        if same in self._seen:
            return ""
        self._seen.add(same)
        return "\n".join(lines)
