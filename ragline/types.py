"""The values that travel between the rooms of Ragline: frozen, without behaviour beyond derived facts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, Protocol, TypeAlias

SOURCE_KEY = "ragline_source"
"""The key in a file's metadata that names the source it was taken from; an upload cannot set it."""

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""What the JSON of a wire format may hold."""

Role = Literal["admin", "user", "pending"]

Permission = Literal["read", "write"]

EVERYBODY = "*"
"""In a grant, all users that are admitted."""


class Status(StrEnum):
    """Where a file stands. Only `COMPLETED` files have passages that a search can find."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


Stage = Literal["stored", "queued", "parse", "chunk", "embed", "index", "done"]
"""`stored`: it does not wait to be processed until somebody asks for it."""

Failure = Literal["permanent", "exhausted", "cancelled"]
"""Why a file failed: it cannot be read, it was tried as often as is allowed, or somebody stopped it."""

Lane = Literal["small", "large"]
"""Small files wait only for small ones."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. `admin` may read everything; `pending` nothing.

    `collections`: an API key may be limited to these collections and the files in them, whatever its owner may see.
    `session_stamp`: session tokens with another stamp are of before a new password or role.
    """

    id: str
    name: str
    email: str
    role: Role
    session_stamp: int = 0
    collections: frozenset[str] | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def sees_all(self) -> bool:
        return self.is_admin and self.collections is None


@dataclass(frozen=True, slots=True)
class Account:
    """A user as administrators see them. Times are Unix seconds; `last_active_at` is exact to some minutes."""

    user: User
    created_at: int
    updated_at: int
    last_active_at: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of an API key; the key itself is not. `hint` shows its ends. Times are Unix seconds.

    `routes`: prefixes of the paths it may call, None for all. `collections`: what it may see, None for all that its
    owner may. `last_used_at` is exact to some minutes.
    """

    id: str
    user_id: str
    name: str
    hint: str
    routes: Sequence[str] | None
    collections: Sequence[str] | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A right of a user, or of EVERYBODY, on a collection that is another's. `write` includes `read`."""

    id: str
    collection_id: str
    user_id: str
    permission: Permission
    created_at: int


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as the records know it. Times are Unix seconds, `sha256` is of the bytes, `progress` runs from 0 to 1.

    `blob` is where the bytes lie; `version` names the passages that answer, None while there are none. `edited` is
    where a text lies that somebody wrote in place of what was read from the bytes. `document` holds the `about` and
    `notes` of what was read; `password` opens the document and is sealed.
    """

    id: str
    user_id: str
    filename: str
    content_type: str
    size_bytes: int
    sha256: str
    blob: str
    version: str | None
    status: Status
    stage: Stage
    progress: float
    error: str | None
    failure: Failure | None
    chunk_count: int
    flow_run_id: str | None
    metadata: Mapping[str, Json]
    attempts: int
    interruptions: int
    queued_at: float
    untidy: int
    created_at: int
    updated_at: int
    edited: str | None = None
    document: Mapping[str, Json] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """Files taken to be ingested under one lease."""

    lease: str
    files: Sequence[FileRecord]


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """A knowledge collection: a named set of files, of one owner, who may share it.

    `options` are the settings of parsing and chunking that are others for its files.
    """

    id: str
    user_id: str
    name: str
    description: str
    created_at: int
    updated_at: int
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The weight of meaning that finds best in a collection, told by questions made from its own passages.

    `dense_weight` is None where it was too small to tell. `curve` is the mean nDCG@10 by weight, from 0 to 1 in equal
    steps; `fusion` how scores were fused; `passages` the sample that was searched, `size` the collection at the time.
    `noise_mean` and `noise_deviation` are of the cosines between the questions and all passages.
    """

    dense_weight: float | None
    fusion: str
    size: int = 0
    questions: int = 0
    passages: int = 0
    curve: tuple[float, ...] = ()
    noise_mean: float = 0.0
    noise_deviation: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenedCollection:
    """A collection as one user may use it: `writable` tells whether they may change what is in it."""

    record: CollectionRecord
    grants: Sequence[Grant]
    writable: bool


Scalar: TypeAlias = str | int | float | bool

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What one entry of a file's metadata must be. `value` is a tuple for `in` and `nin`, else a scalar."""

    key: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """Which files are meant, by their metadata: all of the parts, or any of them."""

    parts: tuple[Condition | Where, ...]
    joined: Literal["and", "or"] = "and"


@dataclass(frozen=True, slots=True)
class FileRef:
    """A chat's reference to one file. `where`: only if its metadata fits. `full`: all of its text, without a search.

    `sent` is the reference in the words of the client, which get it back in `sources`; it makes no other reference.
    """

    id: str
    where: Where | None = None
    full: bool = False
    sent: Mapping[str, Json] | None = field(default=None, compare=False, repr=False)
    kind: ClassVar[Literal["file"]] = "file"


@dataclass(frozen=True, slots=True)
class CollectionRef:
    """A chat's reference to a collection, or to those of its files that `where` fits; `full`, `sent` as of a file."""

    id: str
    where: Where | None = None
    full: bool = False
    sent: Mapping[str, Json] | None = field(default=None, compare=False, repr=False)
    kind: ClassVar[Literal["collection"]] = "collection"


@dataclass(frozen=True, slots=True)
class TextRef:
    """A text that came with the chat and is stored nowhere."""

    name: str
    content: str = field(repr=False)
    id: str = ""
    sent: Mapping[str, Json] | None = field(default=None, compare=False, repr=False)
    kind: ClassVar[Literal["text"]] = "text"


@dataclass(frozen=True, slots=True)
class UrlRef:
    """A page of the public web, fetched for this chat and stored nowhere. `name` is what it is called, if anything."""

    url: str
    name: str = ""
    id: str = ""
    sent: Mapping[str, Json] | None = field(default=None, compare=False, repr=False)
    kind: ClassVar[Literal["url"]] = "url"


Ref: TypeAlias = FileRef | CollectionRef | TextRef | UrlRef

ElementKind = Literal["title", "text", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Element:
    """One piece of a parsed document in reading order.

    `level` is the depth of a title from 1 (0 for other kinds); `page` counts from 1, None where the format has none;
    it is the number of the slide in presentations. `member` is the path of the attachment or the file of an archive
    that it is from, such as `lettre.eml/facture.pdf`; "" for the document itself.

    Of a table `text` has one line for each row. `html` is its markup with one `<tr>` for each of these lines; `sheet`
    names the sheet, `rows` are the numbers of the lines' rows in it, from 1, and `columns` its first and last column,
    such as ("A", "F"); `headers` counts the lines at the beginning that are headings of the columns.
    """

    text: str
    kind: ElementKind = "text"
    level: int = 0
    page: int | None = None
    member: str = ""
    html: str | None = None
    sheet: str | None = None
    rows: tuple[int, ...] = ()
    columns: tuple[str, str] | None = None
    headers: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was read from a document: at least one element, none blank.

    `about` is what the document says of itself: title, author, from, to, subject, date, pages. `notes` name what was
    left out and why, in sentences for the user, such as `page 7 has no text that could be recognised`.
    """

    elements: Sequence[Element]
    about: Mapping[str, Json] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document: `text` is `document_text[start:end]`, offsets in characters.

    `heading` is the path of titles above it joined with " › ", `page` and `page_end` its first and last page, from 1,
    `language` is ISO 639-1. `kind` is what most of it is. `member`, `sheet` are as of its elements; `cells` is its
    range in the sheet, such as `A5:F9`; `html` the markup of its rows, where it is of a single table. `lead` is what it
    cannot be understood without and does not contain: the headings of its table, or the question that it answers.
    """

    index: int
    text: str
    start: int
    end: int
    heading: str
    page: int | None
    language: str
    page_end: int | None = None
    kind: ElementKind = "text"
    member: str = ""
    sheet: str | None = None
    cells: str | None = None
    html: str | None = None
    lead: str = ""


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Indices and weights of a lexical vector: same length, indices distinct."""

    indices: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as the vector store returns it, with the document it came from, in one version of it."""

    id: str
    file_id: str
    version: str
    user_id: str
    name: str
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found. `score` orders the hits of one search; `cosine` is comparable between searches.

    `lexical` is its BM25 score, 0 where it has no word of the question; `relevance` estimates from both, from 0 to 1,
    how likely it is that the passage has to do with the question.
    """

    passage: Passage
    score: float
    cosine: float
    lexical: float = 0.0
    relevance: float = 1.0

    @property
    def similarity(self) -> float:
        """The cosine as the wire formats have it: (1 + cosine) / 2, so 0 to 1, bigger is nearer in meaning."""
        return (1 + self.cosine) / 2


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a search made of its candidates, best first, and how long it took.

    `scores` has a number for each of `hits`, of this step's own kind; `note` says what the user should know of it.
    """

    name: str
    hits: Sequence[Hit]
    scores: Sequence[float]
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of a search, best first, the steps that led to them, and notes for the user, such as what fell back.

    `below` counts the hits that were left out as not relevant.
    """

    hits: Sequence[Hit] = ()
    steps: Sequence[Step] = ()
    notes: Sequence[str] = ()
    below: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """What one search may look at; the three conditions are combined with AND.

    `file_ids` or `collection_ids`: passages of any of these files or collections (both empty: everything visible).
    `user_id`: only passages this user owns or that lie in `shared_collection_ids`; None for an administrator.
    """

    file_ids: frozenset[str] = frozenset()
    collection_ids: frozenset[str] = frozenset()
    user_id: str | None = None
    shared_collection_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """A document in a context: its number from 1, what was asked for it, and its passages best first."""

    number: int
    file_id: str
    name: str
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class Shown:
    """A text that a model reads: one or more hits of source `number` with what surrounds them, as one passage."""

    number: int
    hit: Hit


@dataclass(frozen=True, slots=True)
class Context:
    """What a model is given to answer from. `left_out` counts the hits that it is not given.

    They did not fit into the token budget, or say the same as another. `sources` are the hits as they were found, which
    citations name; `shown` is what the model reads, in its order: the hits' texts with their surroundings, each
    place once. `tokens` is its length in tokens of the embedding model. `below` counts hits that were left out as not
    relevant; `notes` say what the user should know of the search; `searched` is what was searched for, where that is
    not `question` itself.
    """

    question: str
    sources: Sequence[Source] = ()
    tokens: int = 0
    left_out: int = 0
    below: int = 0
    notes: Sequence[str] = ()
    searched: str = ""
    shown: Sequence[Shown] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a back end offers. `id` is what clients send; `backend` names the connection that owns it.

    `details` holds what the back end itself said of it, in its own wire format; `own_id` is how the back end calls it,
    where clients must use another name.
    """

    id: str
    backend: str
    owned_by: Literal["ollama", "openai", "embedded", "function"]
    created: int = 0
    alias_of: str | None = None
    own_id: str | None = None
    details: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as models that are Python code may know it."""

    id: str
    name: str
    role: Role


class Reach(Protocol):
    """What a model that is Python code may do for the user who asks. It belongs to the event loop of the server."""

    @property
    def user(self) -> Asker: ...

    @property
    def messages(self) -> Sequence[Mapping[str, Json]]:
        """The messages as the client sent them, without what was retrieved."""

    @property
    def question(self) -> str:
        """The text of the last message of the user; empty where there is none."""

    async def search(
        self, text: str, *, files: Sequence[str], collections: Sequence[str], limit: int | None
    ) -> Context:
        """Return passages of these files and collections, or of everything that the user may see. Raises NotFound."""

    def stream(
        self, model: str, messages: Sequence[Mapping[str, Json]], parameters: Mapping[str, Json]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events of another model's answer. Raises NotFound, and Invalid for one that would ask itself."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat in OpenAI's wire format, ready for a back end.

    `body` is the client's JSON with `model` and `messages` replaced by ours and Ragline's own keys taken out; `context`
    is what was retrieved for it, already written into the messages (function models read it directly); `reach` is for
    function models, too. `prompt_tokens` is an estimate of the messages' length, where they may be long.
    """

    model: str
    body: Mapping[str, Json]
    context: Context | None = None
    language: str = "en"
    reach: Reach | None = None
    prompt_tokens: int | None = None
