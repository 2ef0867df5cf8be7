"""A document is read in worker processes: a long one in parts, several at once, each with limits of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragline.config.settings import Parsing
from ragline.connectors.workers import Workers
from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse import parse, parts_of
from ragline.pipelines.parse_types import LONG
from ragline.pipelines.reading import Options, Part, no_text, too_much_text
from ragline.types import Element, Parsed

AT_ONCE = 4
"""Parts of one document on their way at once, so that other files come between."""


async def read_document(
    workers: Workers, parsing: Parsing, path: Path, name: str, content_type: str, *, options: Options
) -> Parsed:
    """Return what a document says. Raises as `parse` and `Workers.run`; if one part fails, all of it has failed."""
    document = _Document(workers, parsing, path, name, content_type, options)
    parts = await document.parts() if content_type in LONG else []
    return await document.in_parts(parts) if len(parts) > 1 else await document.read(None)


@dataclass(frozen=True, slots=True)
class _Document:
    workers: Workers
    parsing: Parsing
    path: Path
    name: str
    content_type: str
    options: Options

    async def parts(self) -> list[Part]:
        limit = self.parsing.time_limit_s
        return await self.workers.run(
            parts_of, self.path, self.name, self.content_type, options=self.options, timeout_s=limit
        )

    async def read(self, part: Part | None) -> Parsed:
        limit = self.parsing.time_limit_s
        return await self.workers.run(
            parse, self.path, self.name, self.content_type, options=self.options, part=part, timeout_s=limit
        )

    async def in_parts(self, parts: Sequence[Part]) -> Parsed:
        found: dict[int, Parsed] = {}
        waiting = iter(enumerate(parts))
        left = self.options.max_chars

        async def work() -> None:
            nonlocal left
            for number, part in waiting:
                parsed = await self.read(part)
                left -= sum(len(element.text) for element in parsed.elements)
                if left < 0:
                    raise OverLimit(f"{self.name!r} {too_much_text(self.options.max_chars)}")
                found[number] = parsed

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise next(leaves(errors)) from None
        return joined([found[number] for number in sorted(found)], self.name)


def joined(parts: Sequence[Parsed], name: str) -> Parsed:
    """Return the parts as one document. Raises ParseFailed where all of them are without text."""
    elements: list[Element] = [element for part in parts for element in part.elements]
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    if not elements:
        raise ParseFailed(f"{name!r} {no_text(notes)}")
    about = {key: value for part in reversed(parts) for key, value in part.about.items()}
    return Parsed(elements, about, notes)


def leaves(errors: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
