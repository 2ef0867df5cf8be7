"""What comes back from a worker, which may have been taken over by the file it read: data, and nothing that acts."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Collection
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

from ragline.connectors.confined import Outcome, Walls

PLAIN = frozenset(
    {
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("builtins", "frozenset"),
        ("builtins", "range"),
        ("builtins", "set"),
        ("collections", "OrderedDict"),
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("pathlib", "PosixPath"),
        ("pathlib", "PurePosixPath"),
        ("uuid", "UUID"),
    }
)
"""Classes of the standard library whose making does nothing else."""


def opened(message: bytes, packages: Collection[str]) -> Outcome | Walls:
    """Return what a worker sent. `packages` are those whose data classes, enums and errors it may hold.

    Raises pickle.UnpicklingError for anything else, and errors of many kinds for bytes that are no pickle.
    """
    return _Reader(message, packages).load()  # type: ignore[no-any-return]  # the callers check


class _Reader(pickle.Unpickler):
    def __init__(self, message: bytes, packages: Collection[str]) -> None:
        super().__init__(io.BytesIO(message))
        self._packages = packages

    def find_class(self, module: str, name: str) -> Any:
        found = getattr(sys.modules.get(module), name, None)  # what was never imported here cannot be expected here
        if not isinstance(found, type) or not ((module, name) in PLAIN or self._is_data(found, module)):
            raise pickle.UnpicklingError(f"a worker gave back a {module}.{name}, which is no plain data")
        return found

    def _is_data(self, found: type, module: str) -> bool:
        ours = module.partition(".")[0] in self._packages and found.__module__ == module
        return ours and (is_dataclass(found) or issubclass(found, (Enum, Exception)))
