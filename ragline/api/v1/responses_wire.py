"""What a request to `/v1/responses` looks like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, StringConstraints, Tag

from ragline.api.v1.search import MAX_RESULTS, RankingOptions
from ragline.api.v1.wire import BodyId
from ragline.api.wire_chat import MAX_NAME_CHARS, MAX_REFERENCES
from ragline.errors import BadInput

MAX_TOOLS = 128
SEND_EARLIER = "nothing is stored: send the earlier messages in `input`"

RESULTS = "file_search_call.results"
"""In `include`: the passages that were found are to be in the answer."""

MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class FileSearchTool(BaseModel):
    """Passages of these vector stores are looked up for the last message of the user, and given to the model."""

    type: Literal["file_search"]
    vector_store_ids: Annotated[list[BodyId], Field(min_length=1, max_length=MAX_REFERENCES)]
    filters: dict[str, JsonValue] | None = None
    max_num_results: int | None = Field(None, ge=1, le=MAX_RESULTS)
    ranking_options: RankingOptions | None = None


class FunctionTool(BaseModel):
    """A function of the client, that the model may ask for."""

    model_config = ConfigDict(extra="allow")
    type: Literal["function"]
    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class OtherTool(BaseModel):
    """A tool that is not there."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(max_length=MAX_NAME_CHARS)


def kind_of(tool: object) -> str:
    kind = tool.get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    return kind if kind in ("file_search", "function") else "other"


Tool = Annotated[
    Annotated[FileSearchTool, Tag("file_search")]
    | Annotated[FunctionTool, Tag("function")]
    | Annotated[OtherTool, Tag("other")],
    Discriminator(kind_of),
]


class TextConfig(BaseModel):
    """How the text is to be: `format` of type `text`, `json_object` or `json_schema`."""

    format: dict[str, JsonValue] | None = None


class Reasoning(BaseModel):
    effort: str | None = Field(None, max_length=32)


class ResponseBody(BaseModel):
    """OpenAI's request for a response. Keys that are not named here are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "extractive",
                    "input": "Quelle est la durée de garantie ?",
                    "tools": [{"type": "file_search", "vector_store_ids": ["your-vector-store-id-here"]}],
                }
            ]
        }
    )
    model: str = Field(max_length=MAX_NAME_CHARS)
    input: str | list[dict[str, JsonValue]]
    instructions: str | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, JsonValue] | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_output_tokens: int | None = Field(None, ge=1, le=10_000_000)
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None
    include: Annotated[list[str], Field(max_length=64)] | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    user: str | None = Field(None, max_length=512)
    stream: bool | None = None
    store: bool | None = Field(None, description="Answered as false: nothing is stored.")
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: JsonValue = None
    prompt: JsonValue = None

    def check(self) -> None:
        """Raise BadInput where something is asked for that would not happen."""
        if self.previous_response_id is not None:
            raise BadInput(f"previous_response_id: {SEND_EARLIER}")
        if self.conversation is not None:
            raise BadInput(f"conversation: {SEND_EARLIER}")
        if self.prompt is not None:
            raise BadInput("prompt: no templates are kept here; send the text in `instructions` and `input`")
        if self.background:
            raise BadInput("background: nothing goes on without the client; leave it out, and use `stream` for a sign")
        for position, tool in enumerate(self.tools or ()):
            if isinstance(tool, OtherTool):
                raise BadInput(f"tools[{position}]: no tool {tool.type!r} here; known: file_search, function")
        if sum(isinstance(tool, FileSearchTool) for tool in self.tools or ()) > 1:
            raise BadInput("tools: file_search stands there twice; name all stores in the `vector_store_ids` of one")

    @property
    def file_search(self) -> FileSearchTool | None:
        """The search to be made: none where the client chose another tool, or no tool at all."""
        chosen = self.tool_choice.get("type") if isinstance(self.tool_choice, dict) else self.tool_choice
        if chosen in ("none", "function"):
            return None
        return next((tool for tool in self.tools or () if isinstance(tool, FileSearchTool)), None)

    @property
    def functions(self) -> list[FunctionTool]:
        return [tool for tool in self.tools or () if isinstance(tool, FunctionTool)]
