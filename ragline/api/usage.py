"""What models are asked to do, counted in tokens, for each user and day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragline.app import App
from ragline.connectors.models.openai_wire import objects_of
from ragline.errors import TooMany
from ragline.retrieval.answer import Prepared
from ragline.types import Json, User

CHARS_A_TOKEN = 4
"""Where a back end does not say how many tokens it used."""


async def check_quota(app: App, user: User) -> None:
    """Raise TooMany where a user has used up the tokens of today. Administrators have no quota."""
    most = app.settings.quotas.max_tokens_per_day
    if most is None or user.is_admin:
        return
    used = await app.records.usage.tokens_today(user.id)
    if used >= most:
        raise TooMany(
            f"{used} tokens were used today and {most} are allowed (quotas.max_tokens_per_day); "
            "the count begins anew at midnight UTC"
        )


def as_list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else []


def answered_chars(choice: Json) -> int:
    """Return how long the text of a choice is, whole or a piece of it."""
    part = (choice.get("message") or choice.get("delta")) if isinstance(choice, Mapping) else None
    content = part.get("content") if isinstance(part, Mapping) else None
    return len(content) if isinstance(content, str) else 0


class Meter:
    """Counts the tokens of one chat: what the back end says of them, else an estimate from the characters.

    Nothing is counted, nor written down, where no quota is set.
    """

    def __init__(self, app: App, user: User, prepared: Prepared) -> None:
        self._app, self._user = app, user
        self._on = app.settings.quotas.max_tokens_per_day is not None and not user.is_admin
        self._said: int | None = None
        self._chars = len(str(prepared.request.body.get("messages", ""))) if self._on else 0

    def see(self, answer: Mapping[str, Json]) -> None:
        """Count a whole answer, or one chunk of a stream."""
        if not self._on:
            return
        usage = answer.get("usage")
        if isinstance(usage, Mapping) and isinstance(total := usage.get("total_tokens"), int):
            self._said = total
        else:
            self._chars += sum(map(answered_chars, as_list(answer.get("choices"))))

    def see_events(self, events: bytes) -> None:
        """Count some events of a stream; read only where something counts."""
        if self._on:
            for data in objects_of(events):
                self.see(data)

    async def write(self) -> None:
        if self._on:
            tokens = self._said if self._said is not None else self._chars // CHARS_A_TOKEN
            await self._app.records.usage.add(self._user.id, tokens=tokens)
