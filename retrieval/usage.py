"""What models are asked to do, counted in tokens, for each user and day."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import App
from ragline.connectors.models.openai_wire import listed, objects_of
from ragline.connectors.records.usage import DAY_S
from ragline.errors import TooMany
from ragline.types import ChatRequest, Json, User

log = logging.getLogger(__name__)

CHARS_A_TOKEN = 4
"""Where a back end does not say how many tokens it used."""

WRITING: set[asyncio.Task[None]] = set()
"""What is being written down: an event loop by itself does not keep a task that nobody waits for."""


async def check_quota(app: App, user: User) -> None:
    """Raise TooMany where a user has used up the tokens of today. Administrators have no quota."""
    most = app.settings.quotas.max_tokens_per_day
    if most is None or user.is_admin:
        return
    used = await app.records.usage.tokens_today(user.id)
    if used >= most:
        raise TooMany(
            f"{used} tokens were used today and {most} are allowed (quotas.max_tokens_per_day); "
            "the count begins anew at midnight UTC",
            retry_after_s=seconds_left_today(),
        )


def seconds_left_today() -> int:
    """Return in how many seconds it is midnight UTC, at least 1."""
    return DAY_S - int(time.time()) % DAY_S


def answered_chars(choice: Json) -> int:
    """Return how long the text of a choice is, whole or a piece of it."""
    part = (choice.get("message") or choice.get("delta")) if isinstance(choice, Mapping) else None
    content = part.get("content") if isinstance(part, Mapping) else None
    return len(content) if isinstance(content, str) else 0


class Sent(Protocol):
    """What a back end was sent: its prompt is what tokens are estimated from."""

    @property
    def request(self) -> ChatRequest: ...


class Meter:
    """Counts the tokens of one chat: what the back end says of them, else an estimate from the characters.

    Nothing is counted, nor written down, where no quota is set.
    """

    def __init__(self, app: App, user: User, prepared: Sent) -> None:
        self._app, self._user = app, user
        self._on = app.settings.quotas.max_tokens_per_day is not None and not user.is_admin
        self._said: int | None = None
        self._chars = len(str(prepared.request.body.get("messages", ""))) if self._on else 0

    @property
    def counts(self) -> bool:
        """Whether answers need to be read for it."""
        return self._on

    def see(self, answer: Mapping[str, Json]) -> None:
        """Count a whole answer, or one chunk of a stream."""
        if not self._on:
            return
        usage = answer.get("usage")
        if isinstance(usage, Mapping) and isinstance(total := usage.get("total_tokens"), int) and total >= 0:
            self._said = total
        else:
            self._chars += sum(map(answered_chars, listed(answer.get("choices"))))

    def see_events(self, events: bytes) -> None:
        """Count some events of a stream; read only where something counts."""
        if self._on:
            for data in objects_of(events):
                self.see(data)

    async def write(self) -> None:
        """Write down what was counted, also while the request is being cancelled. The answer does not fail for it."""
        if self._on:
            task = asyncio.create_task(self._write(), name="usage")
            WRITING.add(task)
            task.add_done_callback(WRITING.discard)
            await asyncio.shield(task)

    async def _write(self) -> None:
        tokens = self._said if self._said is not None else self._chars // CHARS_A_TOKEN
        try:
            await self._app.records.usage.add(self._user.id, tokens=tokens)
        except SQLAlchemyError as error:
            log.warning("not counted: tokens=%d user=%s: %s", tokens, self._user.id, getattr(error, "orig", error))
