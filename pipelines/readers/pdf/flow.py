"""The blocks of pages become elements; a paragraph that goes on in the next column or on the next page is one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ragline.pipelines.readers.pdf.hyphens import HYPHEN, joined
from ragline.pipelines.readers.pdf.paragraphs import Block, starts_low
from ragline.pipelines.readers.tables.tables import table
from ragline.types import Element


class Flow:
    """Takes pages in their order and yields elements.

    Whether paragraphs on neighbouring pages are one depends on these two pages alone, so that a document read in parts
    has the same paragraphs: one that may have come over from the page before never goes on to the page after.
    """

    def __init__(self, compounds: Collection[str]) -> None:
        self._compounds = compounds
        self._waiting: list[Block | Element] = []
        self._open: Block | None = None
        self._open_on = 0  # the page of its last line

    def add(self, page: int, columns: Sequence[Sequence[Block]]) -> Iterator[Element]:
        """Add the columns of a page and yield what is complete."""
        is_first = True
        came_over: Block | None = None
        for column in columns:
            at_top = True
            for block in column:
                if block.kind == "title":
                    self._open, is_first = None, False
                if not block.is_body:
                    self._waiting.append(block)
                    continue
                kept = self._joined(block) if at_top else block
                if kept is block:
                    self._waiting.append(block)
                if is_first and page > 1:
                    came_over = kept
                self._open = kept if kept.is_open else None
                self._open_on = page
                at_top = is_first = False
        if self._open_on < page or self._open is came_over:
            self._open = None  # a part that begins with a third page would not know of the first
        yield from self._complete()

    def add_elements(self, elements: Sequence[Element]) -> Iterator[Element]:
        """Add what is complete already."""
        self._open = None
        self._waiting.extend(elements)
        yield from self._complete()

    def end(self) -> Iterator[Element]:
        """Yield what is left."""
        self._open = None
        yield from self._complete()

    def _joined(self, block: Block) -> Block:
        """Return the paragraph that waits for its end, with that of `block` if it is it; else the block."""
        before = self._open
        if before is None or block.kind != "text" or abs(before.size - block.size) > 0.07 * block.size:
            return block
        last, first = before.parts[-1], block.parts[0]
        goes_on = before.is_full or last.endswith((HYPHEN, ","))
        if not starts_low(first) and not (goes_on and first[0].isalnum()):
            return block
        before.parts.extend(block.parts)
        before.is_full = block.is_full
        return before

    def _complete(self) -> Iterator[Element]:
        waiting = self._waiting
        count = next((at for at, block in enumerate(waiting) if block is self._open), len(waiting))
        self._waiting = waiting[count:]
        for block in waiting[:count]:
            if isinstance(block, Element):
                yield block
            elif block.rows is not None:
                yield from table(block.rows, page=block.page)
            else:
                text = joined(block.parts, self._compounds)
                yield Element(text, block.kind, level=block.level, page=block.page)
