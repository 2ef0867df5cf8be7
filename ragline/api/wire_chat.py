"""What a chat request looks like, and the references in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from ragline.api.wire import NO_NUL
from ragline.connectors.sources.urls import parse_url
from ragline.errors import RaglineError
from ragline.retrieval.filters import of_metadata
from ragline.types import CollectionRef, FileRef, Json, Ref, TextRef, UrlRef, Where

MAX_NAME_CHARS = 256
MAX_REFERENCES = 256
"""References in one chat."""

WebUrl = Annotated[
    str,
    Field(
        max_length=2000,
        pattern=r"^[hH][tT][tT][pP][sS]?://[^/\s]",
        description="A page of the public web.",
        examples=["https://example.org/notice"],
    ),
]

FILTER: dict[str, JsonValue] = {"year": {"gte": 2024}, "lang": ["fr", "en"]}


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")
    role: str
    content: str | list[dict[str, object]] | None = None


class Sent(BaseModel):
    """A reference; what else clients write into it comes back in `sources` and means nothing."""

    model_config = ConfigDict(extra="allow")

    def sent(self) -> Mapping[str, Json]:
        return self.model_dump(mode="json", exclude_unset=True)


class StoredReference(Sent):
    """What is common to references to a file and to a collection."""

    id: str = Field(min_length=1, max_length=MAX_NAME_CHARS, pattern=NO_NUL)
    context: Literal["full", ""] | None = Field(
        None, description="`full`: the whole text, without a search; else the passages nearest to the question."
    )
    metadata: dict[str, JsonValue] | None = Field(
        None,
        description="Only files whose metadata fits: a value, a list of which any may be, or operators "
        "`eq ne gt gte lt lte in nin`; also `name`, `content_type`, `size`, `created_at`, `sha256` of the file.",
        examples=[FILTER],
    )

    @field_validator("metadata")
    @classmethod
    def readable(cls, given: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        if given:
            in_pydantic_words(of_metadata, given)
        return given

    @property
    def where(self) -> Where | None:
        return of_metadata(self.metadata) if self.metadata else None


class FileReference(StoredReference):
    """A file."""

    type: Literal["file"]

    def ref(self) -> Ref:
        return FileRef(self.id, self.where, self.context == "full", self.sent())


class CollectionReference(StoredReference):
    """A collection."""

    type: Literal["collection"]

    def ref(self) -> Ref:
        return CollectionRef(self.id, self.where, self.context == "full", self.sent())


class TextReference(Sent):
    """A text that is in the request itself, also where Open WebUI's pages put it: `file.data.content`."""

    type: Literal["text"]
    content: str = Field(pattern=r"\S", description="Taken whole where it fits, else its best passages.")
    name: str = Field("", max_length=MAX_NAME_CHARS)
    id: str = Field("", max_length=MAX_NAME_CHARS)

    @model_validator(mode="before")
    @classmethod
    def inner(cls, given: object) -> object:
        match given:
            case {"file": {"data": {"content": str(content)}}} if isinstance(given, dict) and "content" not in given:
                return given | {"content": content}
        return given

    def ref(self) -> Ref:
        return TextRef(self.name, self.content, self.id, self.sent())


class UrlReference(Sent):
    """A page of the public web, fetched for this chat."""

    type: Literal["url"]
    url: WebUrl
    name: str = Field("", max_length=MAX_NAME_CHARS)
    id: str = Field("", max_length=MAX_NAME_CHARS)

    @field_validator("url")
    @classmethod
    def fetchable(cls, given: str) -> str:
        in_pydantic_words(parse_url, given)
        return given

    def ref(self) -> Ref:
        return UrlRef(self.url, self.name, self.id, self.sent())


Reference: TypeAlias = Annotated[
    FileReference | CollectionReference | TextReference | UrlReference, Field(discriminator="type")
]


class ChatBody(BaseModel):
    """OpenAI's request; keys that are not named here go to the back end unchanged."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "model": "extractive",
                    "messages": [{"role": "user", "content": "Pourquoi le ciel est-il bleu ?"}],
                    "files": [{"type": "file", "id": "your-file-id-here"}],
                },
                {
                    "model": "extractive",
                    "messages": [{"role": "user", "content": "Combien de temps dure la garantie ?"}],
                    "files": [
                        {"type": "collection", "id": "your-collection-id-here", "metadata": FILTER},
                        {"type": "text", "name": "note", "content": "La garantie de la pompe dure 27 mois."},
                    ],
                },
            ]
        },
    )
    model: str = Field(max_length=MAX_NAME_CHARS)
    messages: list[Message] = []
    files: list[Reference] | None = Field(None, max_length=MAX_REFERENCES)
    stream: bool = False
    chat_id: str | None = Field(
        None, max_length=MAX_NAME_CHARS, description="No chats are stored here: of others than `local:…` none is known."
    )


class SourceOut(BaseModel):
    """What was taken for one reference, nearest in meaning first, in lists of the same length.

    `distances` are (1 + cosine) / 2, so 0 to 1, bigger is nearer. What is given whole and a text of the request have
    none.
    """

    source: dict[str, JsonValue] = Field(description="The reference as it was sent.")
    document: list[str]
    metadata: list[dict[str, JsonValue]]
    distances: list[float] = []


class RetrievalOut(BaseModel):
    """How the passages of an answer were found."""

    context_tokens: int = Field(description="Length of what the model was given to read, as the embedder counts.")
    left_out: int = Field(description="Passages that did not fit, or that say the same as another.")
    not_relevant: int = Field(description="Passages that were left out as not relevant.")
    searched: str = Field(description="What was searched for, where that is not the question itself; else empty.")
    notes: list[str] = Field(description="What the user should know, such as what fell back.")


class CitedPlace(BaseModel):
    """Where a quote stands: the extracted text of the file from `start` to before `end`; `page` counts from 1.

    `file_id`, `passage_id` and `passage_url` are null for what is stored nowhere; `passage_id` is also null for what
    stands beside a passage, and in a whole text, where `passage_url` leads to the place.
    """

    file_id: str | None
    name: str
    page: int | None
    heading: str
    start: int
    end: int
    passage_id: str | None
    passage_url: str | None


class CitationOut(BaseModel):
    """A number in an answer, looked at: whether its source holds the numbers, names and quotations of the statement."""

    n: int
    supported: bool
    span: tuple[int, int] = Field(description="Where the statement is in the answer, in characters.")
    sentence: str
    missing: list[str] = Field(description="What the source does not hold, as the statement has it.")
    checked: int = Field(description="How many things were looked for; 0: nothing in it can be looked for.")
    source: CitedPlace | None = Field(description="Null for a number that no source has.")
    quote: str | None = Field(description="The sentence of the source that fits best, word for word.")


class Completion(BaseModel):
    """The back end's answer as it came, in OpenAI's format.

    Where something was referenced, `sources` and `retrieval` come first, `usage` has `context_tokens`, and `citations`
    tells what a check of them found, unless it is switched off.
    """

    model_config = ConfigDict(extra="allow")
    sources: list[SourceOut] = []
    retrieval: RetrievalOut | None = None
    citations: list[CitationOut] = []


def in_pydantic_words(check: Callable[[Any], object], given: object) -> None:
    """Call `check`; its error becomes one that pydantic knows the place of."""
    try:
        check(given)
    except RaglineError as error:
        raise ValueError(str(error)) from None
