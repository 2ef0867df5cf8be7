"""What a chat request looks like."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ragline.types import CollectionRef, FileRef, Ref

MAX_NAME_CHARS = 256
MAX_REFERENCES = 256
"""References in one chat."""


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")
    role: str
    content: str | list[dict[str, object]] | None = None


class Reference(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: Literal["file", "collection"]
    id: str = Field(min_length=1, max_length=MAX_NAME_CHARS)

    def ref(self) -> Ref:
        return FileRef(self.id) if self.type == "file" else CollectionRef(self.id)


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
                }
            ]
        },
    )
    model: str = Field(max_length=MAX_NAME_CHARS)
    messages: list[Message] = []
    files: list[Reference] | None = Field(None, max_length=MAX_REFERENCES)
    stream: bool = False
