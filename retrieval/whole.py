"""Documents that a chat asks for whole: all of their text goes before the model, without a search."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.errors import NotFound, TooLarge, Unavailable
from ragline.language import language_of
from ragline.types import Chunk, FileRecord, Hit, Passage

MAX_WHOLE_FILES = 200
"""Files read whole for one chat."""
MOST_CHARS_A_TOKEN = 16
"""A text with more characters than that for each token allowed is too long; its tokens need not be counted."""
USUAL_CHARS_A_TOKEN = 4
SLICE_CHARS = 200_000
"""What is given to the tokenizer at once."""
FIRST = 1.0
"""The score of what is taken before all that a search finds, whose scores are below 0.04."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many tokens there are for whole documents, and what says so."""

    tokens: int
    limit: str = "retrieval.full_tokens"


async def whole_files(app: App, files: Sequence[FileRecord], room: Room) -> tuple[list[Hit], int]:
    """Return each file as one hit, in their order, and their tokens together.

    Raises TooLarge where they are more than there is room for, Unavailable where a text is lost.
    """
    if len(files) > MAX_WHOLE_FILES:
        raise TooLarge(
            f"{len(files)} files are asked for whole in one chat, and {MAX_WHOLE_FILES} are allowed; leave out "
            "'context': 'full', so that the best passages are searched, or filter for fewer files"
        )
    hits: list[Hit] = []
    tokens = 0
    for file in files:
        text, version = await text_of(app, file)
        tokens += await count(app, text, most=room.tokens - tokens)
        if tokens > room.tokens:
            last = "" if len(files) == 1 else f" after {len(hits) + 1} of {len(files)} files"
            raise TooLarge(
                f"file {file.id!r} ({file.filename}) is asked for whole: {tokens} tokens{last}, and {room.tokens} are "
                f"allowed in one chat ({room.limit}); leave out 'context': 'full' to have it searched"
            )
        hits.append(as_hit(text, file_id=file.id, version=version, user_id=file.user_id, name=file.filename))
    return hits, tokens


async def text_of(app: App, file: FileRecord) -> tuple[str, str]:
    """Return the text of the version that answers, and which one that is. Raises Unavailable where it is lost."""
    while True:
        version = file.version or ""
        try:
            return (await app.blobs.get(text_key(file.id, version))).decode("utf-8", "replace"), version
        except NotFound as error:
            file = await app.records.files.get(file.id)
            if file.version == version:
                raise Unavailable(f"the text of file {file.id!r} is lost; upload it again") from error


async def count(app: App, text: str, *, most: int) -> int:
    """Return a text's length in tokens of the embedding model; an estimate where it is far more than `most`."""
    if len(text) > max(1, most) * MOST_CHARS_A_TOKEN:
        return max(most + 1, len(text) // USUAL_CHARS_A_TOKEN)
    slices = [text[start : start + SLICE_CHARS] for start in range(0, len(text), SLICE_CHARS)]
    return sum(await asyncio.to_thread(app.embedder.count_tokens, slices))


def as_hit(text: str, *, file_id: str, version: str = "", user_id: str = "", name: str) -> Hit:
    """Return a whole text as if a search had found it, before everything else."""
    chunk = Chunk(index=0, text=text, start=0, end=len(text), heading="", page=None, language=language_of(text))
    return Hit(Passage(whole_id(file_id, version), file_id, version, user_id, name, chunk), score=FIRST, cosine=1.0)


def whole_id(file_id: str, version: str) -> str:
    """Return what the whole text of a file is called where passages have their ids."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{file_id}\0{version}\0whole"))
