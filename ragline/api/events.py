"""The log of events, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, JsonValue

from ragline.api.caller import Administrator, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import NO_NUL, Page
from ragline.connectors.records.events import Event

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/events", tags=["events"])

PAGE_SIZE = 50


class EventOut(BaseModel):
    """A request that did something. `at` is in Unix seconds. `user_id` is the caller's; of who signs in, the account's.

    `details` name what it was about, such as the model and the references of a chat; never contents.
    """

    id: str
    at: float
    user_id: str | None
    key_id: str | None
    address: str | None
    method: str
    path: str
    status: int
    details: Mapping[str, JsonValue] | None

    @classmethod
    def of(cls, event: Event) -> Self:
        return cls.model_validate({name: getattr(event, name) for name in cls.model_fields})


class EventList(BaseModel):
    items: list[EventOut]
    total: int


@router.get("")
async def events(
    app: Installation,
    _: Administrator,
    user_id: Annotated[str | None, Query(max_length=256, pattern=NO_NUL, description="only of this account")] = None,
    page: Page = 1,
) -> EventList:
    """List who did what, the last first, 50 a page; for administrators. A request shows up within two seconds.

    In it are sign-ins, failed ones too, and every request of somebody known that changes something or asks a model.
    """
    found, total = await app.records.events.page(user_id=user_id, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    return EventList(items=[EventOut.of(event) for event in found], total=total)
