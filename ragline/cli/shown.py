"""How commands print what comes from elsewhere: in a line, in columns."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ragline.pipelines.names import UNPRINTABLE

MAX_ROWS = 50


def plain(text: str) -> str:
    """Return a text from elsewhere as it can be printed: nothing in it can move the cursor or break the line."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text).encode("utf-8", "backslashreplace").decode()


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]], *, all_rows: bool) -> None:
    """Print rows in columns, the first MAX_ROWS of them unless all are wanted; nothing where there are none."""
    if not rows:
        return
    shown = rows if all_rows else rows[:MAX_ROWS]
    cells = [list(titles), *([plain(str(cell)) for cell in row] for row in shown)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if len(shown) < len(rows):
        click.echo(f"… and {len(rows) - len(shown)} more (--verbose shows all)")
