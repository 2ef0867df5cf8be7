"""Another model's answer as it comes, and below it the documents that it cites, checked against those it was given.

Copy this file into the folder `functions/` and name in MODEL the model that answers. Ask the model `footnotes`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from ragline.functions import Excerpt, Piece, Request

MODEL = "llama3.2"

WORDS = {
    "fr": ("Sources citées :", "Cette réponse ne cite aucun document : vérifiez-la.", "n'existe pas"),
    "en": ("Documents cited:", "This answer cites no document: check it.", "does not exist"),
}


class Footnotes:
    id = "footnotes"
    name = f"{MODEL} with footnotes"

    async def chat(self, request: Request) -> AsyncIterator[Piece]:
        """Pass on what the model says, text and everything else, then say where it is from."""
        said = ""
        async for piece in request.stream(MODEL, **request.parameters):
            said += piece if isinstance(piece, str) else ""
            yield piece
        if said and request.context is not None:
            yield "\n\n" + footnotes(said, request.context, request.language)


def footnotes(said: str, given: Sequence[Excerpt], language: str) -> str:
    """Return a line for each number in brackets, in the order of the numbers."""
    cited, nothing, unknown = WORDS.get(language, WORDS["en"])
    names = {passage.source: passage.name for passage in given}
    numbers = sorted({int(number) for number in re.findall(r"\[(\d{1,3})\]", said)})
    lines = [f"[{number}] {names.get(number, unknown)}" for number in numbers]
    return "\n".join([cited, *lines]) if lines else nothing
