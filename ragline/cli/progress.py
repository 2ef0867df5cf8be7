"""How far `ragline ingest` is: a bar on a terminal, else a line for each document. All on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ragline.cli.paths import Document
from ragline.cli.sending import Result, Show
from ragline.cli.shown import plain
from ragline.client import State

NAMES = 3
"""Names shown beside the bar, those that changed last."""
NAME_CHARS = 24


@contextmanager
def showing(total: int) -> Iterator[Show]:
    """Give what shows the progress of `total` documents."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    names = TextColumn("{task.fields[names]}", markup=False)
    with Progress(*columns, names, console=console, transient=True) as progress:
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
    """A bar over all documents, and the names of those that are worked on; failures stay on the screen above it."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("files", total=total, names="")
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
        latest = list(self._current.items())[-NAMES:]
        names = (f"{plain(document.path.name)[:NAME_CHARS]} ({state})" for document, state in latest)
        self._progress.update(self._task, names=", ".join(names))


def line_of(result: Result) -> str:
    reason = f": {plain(result.reason)}" if result.reason else ""
    return f"{result.outcome}  {plain(str(result.document.path))}{reason}"
