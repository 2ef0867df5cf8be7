"""Anthropic's messages as they are on the wire: what clients send, and what they are answered."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from ragline.api.wire_chat import MAX_NAME_CHARS, MAX_REFERENCES, Reference

MOST_TOKENS = 1 << 30
MAX_STOPS = 64

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]


class TextBlock(BaseModel):
    type: Literal["text"]
    text: str


class InlineImage(BaseModel):
    """An image in base64."""

    type: Literal["base64"]
    media_type: str = Field(pattern=r"^image/[\w.+-]{1,100}$")
    data: str


class LinkedImage(BaseModel):
    type: Literal["url"]
    url: str


class ImageBlock(BaseModel):
    type: Literal["image"]
    source: Annotated[InlineImage | LinkedImage, Field(discriminator="type")]


class DocumentText(BaseModel):
    """Plain text; other documents are uploaded to `/api/v1/files/` and named in `files`."""

    type: Literal["text"]
    data: str


def only_text(source: object) -> object:
    """Say what to do with a PDF, which Anthropic's own API takes here."""
    if isinstance(source, dict) and source.get("type") in ("base64", "url", "file", "content"):
        raise PydanticCustomError(
            "document_source",
            "a document here is plain text: upload other files to /api/v1/files/ and name them in `files`",
        )
    return source


class DocumentBlock(BaseModel):
    type: Literal["document"]
    source: Annotated[DocumentText, BeforeValidator(only_text)]
    title: str | None = None


class ToolUseBlock(BaseModel):
    """The model's call of a tool."""

    type: Literal["tool_use"]
    id: Name
    name: Name
    input: dict[str, JsonValue]


class ToolResultBlock(BaseModel):
    type: Literal["tool_result"]
    tool_use_id: Name
    content: str | list[Annotated[TextBlock | ImageBlock | DocumentBlock, Field(discriminator="type")]] | None = None


class ThinkingBlock(BaseModel):
    """What a model thought before; it is not sent on."""

    type: Literal["thinking", "redacted_thinking"]


Block: TypeAlias = Annotated[
    TextBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock,
    Field(discriminator="type"),
]


class Turn(BaseModel):
    """A message of the chat so far."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(BaseModel):
    """A tool of the client's."""

    type: Literal["custom"] | None = None
    name: Name
    description: str | None = None
    input_schema: dict[str, JsonValue]


class ToolChoice(BaseModel):
    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None
    disable_parallel_tool_use: bool = False


class Counted(BaseModel):
    """What the tokens of a prompt depend on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "extractive",
                    "max_tokens": 256,
                    "messages": [{"role": "user", "content": "Combien de mois dure la garantie ?"}],
                }
            ]
        }
    )
    model: str = Field(max_length=MAX_NAME_CHARS)
    messages: list[Turn] = Field(min_length=1)
    system: str | list[TextBlock] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    files: list[Reference] | None = Field(None, max_length=MAX_REFERENCES)


class MessagesBody(Counted):
    """Anthropic's request, with `files` as in a chat; keys that are not named here are ignored."""

    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    stop_sequences: list[str] | None = Field(None, max_length=MAX_STOPS)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = Field(None, ge=0, le=MOST_TOKENS)
    stream: bool = False


class Usage(BaseModel):
    input_tokens: int
    output_tokens: int


class AnthropicMessage(BaseModel):
    """An answer; `sources` is there where something was referenced."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    content: list[Annotated[TextBlock | ToolUseBlock, Field(discriminator="type")]]
    model: str
    stop_reason: str | None
    stop_sequence: str | None
    usage: Usage
    sources: list[dict[str, JsonValue]] | None = None


class TokenCount(BaseModel):
    input_tokens: int
