"""Which back end serves which model: the lists of all back ends merged, cached, and never blocked by a dead one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeAlias, TypeVar

import orjson

from ragline.connectors.models.forward import OllamaRoute
from ragline.connectors.models.protocol import ModelBackend
from ragline.errors import NotFound, RaglineError
from ragline.types import Model

log = logging.getLogger(__name__)

ASK_AGAIN_S = 1.0
"""A name that nobody knows makes the back ends be asked again, but no more often than this."""

NEAREST_NAMES = 3
SHOWN_CHARS = 100
"""Of an unknown name, both to compare and to show; clients may send one of any length."""

Models: TypeAlias = list[Model]
Found = TypeVar("Found")


class ModelRegistry:
    """The models of all back ends. Where two offer the same id, the first connection owns it."""

    def __init__(
        self,
        backends: Sequence[ModelBackend],
        *,
        aliases: Mapping[str, Sequence[str]],
        list_ttl_s: float,
        list_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`aliases`: other names, each with its targets, of which the first that exists is meant."""
        self._offers = [_Offer(backend, list_ttl_s, list_timeout_s, clock) for backend in backends]
        self._aliases = aliases

    @property
    def down(self) -> Mapping[str, str]:
        """The back ends that did not give a list when last asked: their names and why."""
        return {offer.backend.name: offer.error for offer in self._offers if offer.error is not None}

    async def list(self, refresh: bool = False) -> Models:
        """Return every model once, in the order of the connections, then the aliases that lead to one.

        Waits at most the list timeout; `refresh` asks the back ends although their lists are still fresh.
        """
        await asyncio.gather(*(offer.ask() for offer in self._offers if refresh or not offer.fresh))
        merged: dict[str, Model] = {}
        for offer in self._offers:
            for model in offer.models.values():
                merged.setdefault(model.id, model)
        for alias in self._aliases:
            if self._served(alias) is None and (found := self._aliased(alias)) is not None:
                merged[alias] = replace(found[1], id=alias, alias_of=found[1].id)
        return [*merged.values()]

    async def find(self, name: str) -> tuple[ModelBackend, Model]:
        """Return the back end that serves `name`, and the model under the id which that back end knows.

        Looks for the exact id, then `name:latest`, then the alias. Raises NotFound with the nearest names.
        """
        found = await self._look(lambda: self._served(name) or self._aliased(name))
        if found is None:
            raise NotFound(self._not_found(name))
        return found

    async def ollama_backend(self) -> OllamaRoute | None:
        """Return the first reachable back end that answers Ollama's own API, or None."""
        return await self._look(self._route)

    async def close(self) -> None:
        """Close every back end, also when one of them fails to; the first failure is raised in the end."""
        for offer in self._offers:
            offer.stop()
        endings = await asyncio.gather(*(offer.backend.close() for offer in self._offers), return_exceptions=True)
        for ending in endings:
            if isinstance(ending, BaseException):
                raise ending

    async def _look(self, look: Callable[[], Found | None]) -> Found | None:
        """Return what `look` finds in the lists as they are; only if it finds nothing, wait for new ones.

        So a chat never waits for a list that has grown old, nor for a back end that is dead: they are asked meanwhile.
        """
        await asyncio.gather(*(offer.ask() for offer in self._offers if offer.asked_at is None))
        for offer in self._offers:
            if not offer.fresh:
                offer.start()
        found = look()
        if found is None:
            await asyncio.gather(*(offer.ask() for offer in self._offers if offer.age_s >= ASK_AGAIN_S))
            found = look()
        return found

    def _served(self, name: str) -> tuple[ModelBackend, Model] | None:
        for id in (name, f"{name}:latest"):
            for offer in self._offers:
                if id in offer.models:
                    return offer.backend, offer.models[id]
        return None

    def _aliased(self, name: str) -> tuple[ModelBackend, Model] | None:
        targets = (self._served(target) for target in self._aliases.get(name, ()))
        return next((found for found in targets if found is not None), None)

    def _route(self) -> OllamaRoute | None:
        for offer in self._offers:
            if offer.error is None and isinstance(offer.backend, OllamaRoute):
                return offer.backend
        return None

    def _not_found(self, name: str) -> str:
        known = dict.fromkeys([id for offer in self._offers for id in offer.models] + [*self._aliases])
        usable = [id for id in known if self._served(id) or self._aliased(id)]
        name = name[:SHOWN_CHARS]
        near = get_close_matches(name, usable, n=NEAREST_NAMES, cutoff=0.4) or usable[:NEAREST_NAMES]
        hint = f"nearest: {', '.join(map(repr, near))}" if near else "no back end offers any model"
        lost = "".join(f"; {backend} is down: {reason}" for backend, reason in self.down.items())
        return f"model {name!r} not found; {hint}{lost}"


class _Offer:
    """What one back end offered when last asked; whoever asks while it is being asked waits for the same answer."""

    def __init__(
        self, backend: ModelBackend, list_ttl_s: float, list_timeout_s: float, clock: Callable[[], float]
    ) -> None:
        self.backend = backend
        self.models: Mapping[str, Model] = {}
        self.error: str | None = None
        self.asked_at: float | None = None
        self._list_ttl_s = list_ttl_s
        self._list_timeout_s = list_timeout_s
        self._clock = clock
        self._asking: asyncio.Task[None] | None = None

    @property
    def age_s(self) -> float:
        return float("inf") if self.asked_at is None else self._clock() - self.asked_at

    @property
    def fresh(self) -> bool:
        return self.age_s < self._list_ttl_s

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
            self.models, self.error = {}, f"no list of models within {self._list_timeout_s:g} s"
        except RaglineError as error:
            self.models, self.error = {}, str(error)
        except Exception as error:
            # What a server sends can break a back end in ways nobody thought of: the others must not suffer.
            log.exception("model back end failed name=%s", self.backend.name)
            self.models, self.error = {}, f"{type(error).__name__}: {error}; the traceback is in the server's log"
        else:
            self.models, self.error = {model.id: model for model in offered if _showable(model)}, None
        self.asked_at = self._clock()
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
