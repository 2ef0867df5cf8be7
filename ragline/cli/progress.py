"""How far `ragline ingest` is: a bar on a terminal, else a line for each document. All on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from ragline.cli.paths import Document
from ragline.cli.sending import Result, Show
from ragline.cli.shown import plain
from ragline.client import State

BAR_CELLS = 20
PATH_CELLS = 12


@contextmanager
def showing(total: int) -> Iterator[Show]:
    """Give what shows the progress of `total` documents."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        BarColumn(BAR_CELLS, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        CurrentColumn(),  # the only one that may wrap is the one that gives way
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, total)


class Lines:
    """Says how each document ended."""

    def started(self, document: Document) -> None:
        """A line when it ends is enough."""

    def progressed(self, document: Document, state: State) -> None:
        """A line when it ends is enough."""

    def ended(self, result: Result) -> None:
        click.echo(line_of(result), err=True)


class Bar:
    """A bar over all documents and the one that changed last; failures stay on the screen above it."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("files", total=total, current=Current("", ""))
        self._current: dict[Document, str] = {}

    def started(self, document: Document) -> None:
        self._current[document] = "sending"

    def progressed(self, document: Document, state: State) -> None:
        self._current.pop(document, None)
        self._current[document] = f"{state.stage} {state.progress:.0%}" if state.progress else state.stage
        self._show()

    def ended(self, result: Result) -> None:
        self._current.pop(result.document, None)
        if result.outcome == "failed":
            self._progress.console.print(line_of(result), markup=False, soft_wrap=True)
        self._progress.advance(self._task)
        self._show()

    def _show(self) -> None:
        current = Current("", "")
        if self._current:
            document, state = next(reversed(self._current.items()))
            others = len(self._current) - 1
            current = Current(plain(document.inside), f" ({state}) +{others}" if others else f" ({state})")
        self._progress.update(self._task, current=current)


@dataclass(frozen=True, slots=True)
class Current:
    """The path of a document and what is said after it. Where there is no room for both, the path is shortened.

    Where that would leave less than PATH_CELLS of it, it stands alone.
    """

    path: str
    rest: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(0, cell_len(self.path + self.rest))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - cell_len(self.rest)
        rest = self.rest if room >= min(cell_len(self.path), PATH_CELLS) else ""
        path = shortened(self.path, options.max_width - cell_len(rest))
        yield Text(path + rest, no_wrap=True, overflow="ellipsis")


class CurrentColumn(ProgressColumn):
    """What a task has as its field `current`."""

    def render(self, task: Task) -> Current:
        current: Current = task.fields["current"]
        return current


def shortened(path: str, cells: int) -> str:
    """Return a path as wide as `cells` at most, its middle left out; its end, where the name is, keeps two thirds."""
    if cell_len(path) <= cells:
        return path
    if cells < 1:
        return ""
    head = (cells - 1) // 3
    tail = set_cell_size(path[::-1], cells - 1 - head)[::-1]
    return f"{set_cell_size(path, head)}…{tail}"


def line_of(result: Result) -> str:
    reason = f": {plain(result.reason)}" if result.reason else ""
    return f"{result.outcome}  {plain(str(result.document.path))}{reason}"
