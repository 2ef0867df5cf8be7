"""What an explanation of a search consists of, on the wire and in pages: each passage with its way."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ragline.config.settings import Fusion

Outcome = Literal["shown", "no_room", "repeated", "beyond", "alike", "irrelevant", "outranked"]
"""What became of a passage: the model is given it; or why it is not.

`no_room`: the token budget was used up; `repeated`: it says the same as one before; `beyond`: relevant, but after the
first top_k; `alike`: others were preferred that are less like those before; `irrelevant`: none reached min_relevance;
`outranked`: too far behind to be judged at all.
"""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Word(Part):
    """A word of the question. `passages` counts the candidates that have it, None for one that is not searched for."""

    word: str
    passages: int | None


class Place(Part):
    """A passage's place in one order, from 1, and its score there, of that order's own kind."""

    rank: int
    score: float


class Traced(Part):
    """A passage and its way: `orders` has its place in each step that it was in, by the name of the step.

    `dense` is there for each, by cosine; `words`, by BM25, where it has a word of the question; `final` where a chat
    would be given it. `text` is its beginning. Pages count from 1.
    """

    passage_id: str
    file_id: str
    name: str
    page: int | None
    heading: str
    text: str
    cosine: float
    lexical: float
    relevance: float | None = Field(description="0 to 1; null where it was not judged.")
    orders: dict[str, Place]
    outcome: Outcome


class Stage(Part):
    """A step of the search: how many passages it left, its milliseconds, and what there is to say of it."""

    name: str
    passages: int
    ms: float
    note: str = ""


class Weighing(Part):
    """How the search was done."""

    fusion: Fusion
    dense_weight: float = Field(description="Weight of meaning; the rest is of words.")
    top_k: int
    candidates: int
    min_relevance: float
    diversity: float
    recency: float
    reranker: str = Field(description="Kind of the reranker, `none` without one.")


class Given(Part):
    """A text that the model is given: passages of source `number`, with their surroundings, as one."""

    number: int
    name: str
    page: int | None
    tokens: int
    text: str


class Explanation(Part):
    """A search, step by step. `searched` is what was searched for where earlier questions were needed, else empty.

    `passages` has the candidates in the order before the threshold, at most 200; `candidates` counts all of them.
    `context_tokens` of `budget_tokens` were used for `context`, the texts in their order.
    """

    question: str
    searched: str
    language: str
    cut_off: int = Field(description="Characters of the question that were too many to be searched for.")
    words: list[Word] = []
    weighing: Weighing
    stages: list[Stage]
    candidates: int = 0
    passages: list[Traced] = []
    context: list[Given] = []
    context_tokens: int = 0
    budget_tokens: int
    notes: list[str] = []
