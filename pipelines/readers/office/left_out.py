"""What is said of parts of a document that were left out, or read though they are hidden."""

from __future__ import annotations

from collections.abc import Sequence

from ragline.pipelines.reading import Reading


def note_comments(reading: Reading, count: int) -> None:
    if count:
        reading.note(f"{count} {'comment' if count == 1 else 'comments'} of reviewers left out")


def note_embedded(reading: Reading, count: int) -> None:
    """Note files in a document, such as the workbook behind a table, of which only a picture is shown."""
    if count:
        named = "file embedded in it was" if count == 1 else "files embedded in it were"
        reading.note(f"{count} {named} not read; send {'it' if count == 1 else 'them'} as well, if needed")


def note_hidden(reading: Reading, slides: Sequence[int]) -> None:
    if slides:
        named = f"slide {slides[0]} is" if len(slides) == 1 else f"slides {', '.join(map(str, slides))} are"
        reading.note(f"{named} hidden when the presentation is shown, but read here")
