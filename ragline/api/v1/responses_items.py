"""The response and the items of its output, as OpenAI's clients read them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from ragline.api.v1.wire import GivenAttributes

Progress = Literal["in_progress", "completed", "incomplete"]


class FoundPassage(BaseModel):
    file_id: str
    filename: str
    score: float
    text: str
    attributes: GivenAttributes


class FileSearchCall(BaseModel):
    """A search that was made; `results` are its passages, where `include` asked for them."""

    id: str
    type: Literal["file_search_call"] = "file_search_call"
    status: Literal["in_progress", "searching", "completed"]
    queries: list[str]
    results: list[FoundPassage] | None = None


class FileCitation(BaseModel):
    """A source that the text names; `index` is where in the text, in characters from 0."""

    type: Literal["file_citation"] = "file_citation"
    index: int
    file_id: str
    filename: str


class OutputText(BaseModel):
    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[FileCitation] = []
    logprobs: list[JsonValue] = []


class OutputMessage(BaseModel):
    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    status: Progress
    content: list[OutputText]


class FunctionCall(BaseModel):
    """The model asks for a function of the client; `arguments` is JSON as the model wrote it."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: Progress
    call_id: str
    name: str
    arguments: str


OutputItem = Annotated[FileSearchCall | OutputMessage | FunctionCall, Field(discriminator="type")]


class InputDetails(BaseModel):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(BaseModel):
    reasoning_tokens: int = 0


class Usage(BaseModel):
    """What the back end says it used."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseError(BaseModel):
    code: Literal["server_error"] = "server_error"
    message: str


class Incomplete(BaseModel):
    reason: Literal["max_output_tokens", "content_filter"]


class ResponseOut(BaseModel):
    """A response. It is stored nowhere: `store` is false whatever was asked for."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: Literal[False] = False
    error: ResponseError | None = None
    incomplete_details: Incomplete | None = None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: None = None
    reasoning: dict[str, str | None]
    store: Literal[False] = False
    temperature: float | None
    text: dict[str, JsonValue]
    tool_choice: str | dict[str, JsonValue]
    tools: list[dict[str, JsonValue]]
    top_p: float | None
    truncation: Literal["disabled"] = "disabled"
    usage: Usage | None = None
    user: str | None
