"""What the endpoints below `/v1` share: limits of what they take, and OpenAI's lists."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Path, Query
from pydantic import AfterValidator, BaseModel, Field, JsonValue, StringConstraints

from ragline.api.wire import NO_NUL
from ragline.connectors.records.attributes import OWN_KEYS, Attribute
from ragline.connectors.records.listings import Cut
from ragline.errors import BadInput, Invalid

MAX_ID_CHARS = 256
MAX_ATTRIBUTES = 16
"""OpenAI's limit."""

PathId = Annotated[str, Path(min_length=1, max_length=MAX_ID_CHARS, pattern=NO_NUL)]
BodyId = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS, pattern=NO_NUL)]
Cursor = Annotated[
    str | None, Query(max_length=MAX_ID_CHARS, pattern=NO_NUL, description="The id of the last one that was seen.")
]
EarlierCursor = Annotated[
    str | None, Query(max_length=MAX_ID_CHARS, pattern=NO_NUL, description="The id of the first one that was seen.")
]
Limit = Annotated[int, Query(ge=1, le=100)]
Order = Annotated[Literal["asc", "desc"], Query(description="By the time they were made; `desc`: newest first.")]


def no_own_key(key: str) -> str:
    if key in OWN_KEYS:
        raise ValueError(f"{key!r} is kept by Ragline itself; choose another name")
    return key


Key = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NO_NUL), AfterValidator(no_own_key)]
Text = Annotated[str, StringConstraints(max_length=512, pattern=NO_NUL)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Attributes = Annotated[
    dict[Key, Text | bool | int | Finite],
    Field(max_length=MAX_ATTRIBUTES, description="Of the file, in whatever stores it is; filters see them."),
]
GivenAttributes = dict[str, Attribute]


def cut_of(*, after: Cursor = None, before: EarlierCursor = None, limit: Limit = 20, order: Order = "desc") -> Cut:
    """Return the part of a list that is asked for; both ends at once would be two parts."""
    if after and before:
        raise Invalid("a list goes on after one thing or before one: send `after` or `before`, not both")
    return Cut(limit=limit, ascending=order == "asc", after=after or None, before=before or None)


AskedCut = Annotated[Cut, Depends(cut_of)]


class Listed(BaseModel):
    """A part of a list; `last_id` is where the next one goes on."""

    object: Literal["list"] = "list"
    first_id: str | None
    last_id: str | None
    has_more: bool


def ends(ids: list[str]) -> tuple[str | None, str | None]:
    return (ids[0], ids[-1]) if ids else (None, None)


class NotDone(BaseModel):
    """What OpenAI's stores can do and collections cannot: taken where it asks for nothing, refused elsewhere."""

    chunking_strategy: dict[str, JsonValue] | None = None
    expires_after: dict[str, JsonValue] | None = None

    def check(self) -> None:
        """Raise BadInput where something is asked for that would not happen."""
        if self.expires_after is not None:
            raise BadInput("expires_after: nothing expires here; leave it out, and delete what is not needed any more")
        if self.chunking_strategy is not None and self.chunking_strategy.get("type", "auto") != "auto":
            raise BadInput(
                "chunking_strategy: files are cut the same way for everybody, by the settings of the server; "
                'leave it out, or send {"type": "auto"}'
            )
