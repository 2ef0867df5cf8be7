"""What one back end offers: its list of models as it was when last asked, and as it was when it last answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import orjson

from ragline.connectors.models.protocol import InProcess, ModelBackend
from ragline.errors import RaglineError
from ragline.types import Model

log = logging.getLogger(__name__)

NOTHING: Mapping[str, Model] = {}


class Offer:
    """The list of one back end; whoever asks while it is being asked waits for the same answer.

    `models` is empty while the back end is down, `error` then says why; `known` stays what it last offered.
    """

    def __init__(
        self,
        backend: ModelBackend,
        *,
        prefix: str | None,
        list_ttl_s: float,
        list_timeout_s: float,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called after each answer."""
        self.backend = backend
        self.models = NOTHING
        self.known = NOTHING
        self.error: str | None = None
        self.asked_at: float | None = None
        self._prefix = f"{prefix}." if prefix else ""
        self._list_ttl_s = min(list_ttl_s, backend.list_ttl_s) if isinstance(backend, InProcess) else list_ttl_s
        self._list_timeout_s = list_timeout_s
        self._clock = clock
        self._changed = changed
        self._asking: asyncio.Task[None] | None = None

    @property
    def age_s(self) -> float:
        return float("inf") if self.asked_at is None else self._clock() - self.asked_at

    @property
    def fresh(self) -> bool:
        return self.age_s < self._list_ttl_s

    def public(self, id: str) -> str:
        """Return what clients call a model of this back end, as long as no other has that name."""
        return self._prefix + id

    def full(self, id: str) -> str:
        """Return the name that leads to this back end alone."""
        return f"{self.backend.name}.{id}"

    def start(self) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return self._asking

    def ask(self) -> asyncio.Future[None]:
        """Start to ask and return what to wait for. Shielded: a caller that goes away takes nothing from the others."""
        return asyncio.shield(self.start())

    def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self) -> None:
        was_down = self.error is not None
        try:
            async with asyncio.timeout(self._list_timeout_s):
                offered = await self.backend.models()
        except TimeoutError:
            self.models, self.error = NOTHING, f"no list of models within {self._list_timeout_s:g} s"
        except RaglineError as error:
            self.models, self.error = NOTHING, str(error)
        except Exception as error:
            # What a server sends can break a back end in ways nobody thought of: the others must not suffer.
            log.exception("model back end failed name=%s", self.backend.name)
            self.models, self.error = NOTHING, f"{type(error).__name__}: {error}; the traceback is in the server's log"
        else:
            self.models, self.error = {model.id: model for model in offered if _showable(model)}, None
            self.known = self.models
        self.asked_at = self._clock()
        self._changed()
        if self.error is not None and not was_down:
            log.info("model back end down name=%s reason=%s", self.backend.name, self.error)
        elif self.error is None and was_down:
            log.info("model back end is back name=%s models=%d", self.backend.name, len(self.models))


def _showable(model: Model) -> bool:
    """Return whether the model can be listed to clients: one that is nested too deeply would break the whole list."""
    try:
        orjson.dumps([model.id, dict(model.details)])
    except orjson.JSONEncodeError as error:
        log.warning("model left out backend=%s id=%.100r reason=%s", model.backend, model.id, error)
        return False
    return True
