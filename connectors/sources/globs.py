"""Which paths of a source are taken: include and exclude, patterns as in .gitignore."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pathspec import GitIgnoreSpec

from ragline.errors import BadInput


class Globs:
    """Says of a path (relative, `/` between parts) whether it is taken.

    It is when it matches `include` and not `exclude`. Hidden names, those with a part that begins with a dot, are left
    out unless they match a pattern of `include` that itself has such a part: `.github/**`, but not `**`.
    """

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        """Raises BadInput naming the pattern that is not valid."""
        negations = [pattern for pattern in include if pattern.startswith("!")]
        named_hidden = [pattern for pattern in include if pattern not in negations and _is_hidden(pattern)]
        self._include = _compile("include", include)
        self._hidden = _compile("include", [*named_hidden, *negations] if named_hidden else [])
        self._exclude = _compile("exclude", exclude)

    def take(self, path: str) -> bool:
        include = self._hidden if _is_hidden(path) else self._include
        return include.match_file(path) and not self._exclude.match_file(path)

    def enter(self, folder: str) -> bool:
        """Return False where no path below this folder can be taken, so that it need not be read."""
        if _is_hidden(folder) and not self._hidden.patterns:
            return False
        return not self._exclude.match_file(f"{folder}/")


def is_text(name: str) -> bool:
    """Return whether a name that the system gave can be written as UTF-8; others have stray bytes in them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _compile(setting: str, patterns: Sequence[str]) -> GitIgnoreSpec:
    for pattern in patterns:
        try:
            compiled = GitIgnoreSpec.from_lines([pattern], backend="simple").patterns
        except (ValueError, re.error) as error:
            raise _invalid(setting, pattern, str(error)) from error
        if not any(one.include is not None for one in compiled):
            raise _invalid(setting, pattern, "it matches nothing")
    return GitIgnoreSpec.from_lines(patterns, backend="simple")


def _invalid(setting: str, pattern: str, reason: str) -> BadInput:
    return BadInput(f"{setting}: pattern {pattern!r} is not valid ({reason}); write it as in .gitignore, such as *.md")


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path
