"""Which back end serves which model: the lists of all back ends merged, cached, and never blocked by a dead one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from ragline.connectors.models.forward import OllamaRoute
from ragline.connectors.models.offers import Offer
from ragline.connectors.models.protocol import ModelBackend
from ragline.errors import NotFound
from ragline.types import Model

log = logging.getLogger(__name__)

ASK_AGAIN_S = 1.0
"""A name that nobody knows makes the back ends be asked again, but no more often than this."""

NEAREST_NAMES = 3
SHOWN_CHARS = 100
"""Of an unknown name, both to compare and to show; clients may send one of any length."""

NO_PREFIXES: Mapping[str, str] = MappingProxyType({})

Models: TypeAlias = list[Model]
Served: TypeAlias = tuple[ModelBackend, Model]
Found = TypeVar("Found")


class ModelRegistry:
    """The models of all back ends, under the names that clients use.

    A model is called by its id, with its connection's prefix before it. Where two connections offer the same name, the
    first keeps it and the second's is `<connection>.<id>`; that form leads to the connection it names at any time.
    """

    def __init__(
        self,
        backends: Sequence[ModelBackend],
        *,
        aliases: Mapping[str, Sequence[str]],
        list_ttl_s: float,
        list_timeout_s: float,
        prefixes: Mapping[str, str] = NO_PREFIXES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`aliases`: other names, each with its targets, of which the first that exists is meant.

        `prefixes`: by the names of back ends, what stands before the ids of their models, without the dot.
        """
        self._offers = [
            Offer(
                backend,
                prefix=prefixes.get(backend.name),
                list_ttl_s=list_ttl_s,
                list_timeout_s=list_timeout_s,
                clock=clock,
                changed=self._forget_names,
            )
            for backend in backends
        ]
        self._aliases = aliases
        self._names: Mapping[str, tuple[Offer, Model]] | None = None

    @property
    def down(self) -> Mapping[str, str]:
        """The back ends that did not give a list when last asked: their names and why."""
        return {offer.backend.name: offer.error for offer in self._offers if offer.error is not None}

    def start(self) -> None:
        """Begin to ask all back ends, so that the first chat does not wait for a dead one."""
        for offer in self._offers:
            offer.start()

    async def states(self) -> Mapping[str, bool]:
        """Return of each back end, in order, whether it gave its list when last asked; old answers are renewed."""
        await self._asked_once()
        return {offer.backend.name: offer.error is None for offer in self._offers}

    async def list(self, refresh: bool = False) -> Models:
        """Return every model once, in the order of the connections, then the aliases that lead to one.

        Waits at most the list timeout, and not at all for back ends that are known to be down: they are asked
        meanwhile. `refresh` asks all of them and waits. `own_id` is set where the back end has another name for it.
        """
        await self._asked_once()
        stale = [offer for offer in self._offers if refresh or (not offer.fresh and offer.error is None)]
        await asyncio.gather(*(offer.ask() for offer in stale))
        listed = {name: _called(name, model) for name, (_, model) in self._named().items()}
        for alias in self._aliases:
            if self._served(alias) is None and (found := self._aliased(alias)) is not None:
                model = found[1]
                listed[alias] = replace(model, id=alias, alias_of=self._name_of(model), own_id=model.id)
        return [*listed.values()]

    async def find(self, name: str) -> Served:
        """Return the back end that serves `name`, and the model under the id which that back end knows.

        Looks for the exact name, then `name:latest`, then `<connection>.<id>`, then the alias, and last among what
        back ends offered before they went down: they say themselves what is wrong. Raises NotFound with the nearest
        names.
        """
        found = await self._look(lambda: self._served(name) or self._aliased(name)) or self._lost(name)
        if found is None:
            raise NotFound(self._not_found(name))
        return found

    async def ollama_backend(self) -> OllamaRoute | None:
        """Return the first reachable back end that answers Ollama's own API, or None."""
        routes = await self.ollama_backends()
        return routes[0] if routes else None

    async def ollama_backends(self) -> Sequence[OllamaRoute]:
        """Return the reachable back ends that answer Ollama's own API, in the order of the connections."""
        return await self._look(lambda: [*self._routes()]) or []

    async def ollama_of(self, name: str) -> tuple[OllamaRoute, str] | None:
        """Return the Ollama that serves a model, and the id under which it knows it; None where no Ollama does."""
        try:
            backend, model = await self.find(name)
        except NotFound:
            return None
        return (backend, model.id) if isinstance(backend, OllamaRoute) else None

    async def close(self) -> None:
        """Close every back end, also when one of them fails to; the first failure is raised in the end."""
        for offer in self._offers:
            offer.stop()
        endings = await asyncio.gather(*(offer.backend.close() for offer in self._offers), return_exceptions=True)
        for ending in endings:
            if isinstance(ending, BaseException):
                raise ending

    async def _asked_once(self) -> None:
        """Wait for those that were never asked; ask those again whose lists have grown old, without waiting."""
        await asyncio.gather(*(offer.ask() for offer in self._offers if offer.asked_at is None))
        for offer in self._offers:
            if not offer.fresh:
                offer.start()

    async def _look(self, look: Callable[[], Found | None]) -> Found | None:
        """Return what `look` finds in the lists as they are; only if it finds nothing, wait for new ones.

        So a chat never waits for a list that has grown old, nor for a back end that is dead: they are asked meanwhile.
        """
        await self._asked_once()
        found = look()
        if not found:
            await asyncio.gather(*(offer.ask() for offer in self._offers if offer.age_s >= ASK_AGAIN_S))
            found = look()
        return found

    def _forget_names(self) -> None:
        self._names = None

    def _named(self) -> Mapping[str, tuple[Offer, Model]]:
        """Return what is served now by its names, which are made anew when a list has changed."""
        if self._names is None:
            names: dict[str, tuple[Offer, Model]] = {}
            for offer in self._offers:
                for id, model in offer.models.items():
                    free = [name for name in (offer.public(id), offer.full(id)) if name not in names]
                    if free:
                        names[free[0]] = offer, model
                    else:
                        log.warning("model left out backend=%s id=%.100r: its names are taken", offer.backend.name, id)
            self._names = names
        return self._names

    def _served(self, name: str) -> Served | None:
        names = self._named()
        for each in (name, f"{name}:latest"):
            if each in names:
                offer, model = names[each]
                return offer.backend, model
        return self._in(name, lambda offer: offer.models)

    def _in(self, name: str, models: Callable[[Offer], Mapping[str, Model]]) -> Served | None:
        """Return the model that `<connection>.<id>` names."""
        for offer in self._offers:
            if name.startswith(start := offer.full("")):
                for id in (name.removeprefix(start), f"{name.removeprefix(start)}:latest"):
                    if id in models(offer):
                        return offer.backend, models(offer)[id]
        return None

    def _lost(self, name: str) -> Served | None:
        """Return the model that a back end offered before it went down."""
        for offer in self._offers:
            for id, model in offer.known.items() if offer.error is not None else ():
                if name in (offer.public(id), offer.public(id).removesuffix(":latest")):
                    return offer.backend, model
        return self._in(name, lambda offer: offer.known)

    def _name_of(self, model: Model) -> str:
        return next((name for name, (_, each) in self._named().items() if each is model), model.id)

    def _aliased(self, name: str) -> Served | None:
        targets = (self._served(target) for target in self._aliases.get(name, ()))
        return next((found for found in targets if found is not None), None)

    def _routes(self) -> Iterator[OllamaRoute]:
        for offer in self._offers:
            if offer.error is None and isinstance(offer.backend, OllamaRoute):
                yield offer.backend

    def _not_found(self, name: str) -> str:
        usable = [*self._named(), *(alias for alias in self._aliases if self._aliased(alias) is not None)]
        name = name[:SHOWN_CHARS]
        near = get_close_matches(name, usable, n=NEAREST_NAMES)
        hint = f"nearest: {', '.join(map(repr, near))}" if near else "GET /api/models lists those that there are"
        lost = "".join(f"; {backend} is down" for backend in self.down)
        return f"model {name!r} not found; {hint if usable else 'no back end offers any model'}{lost}"


def _called(name: str, model: Model) -> Model:
    return model if name == model.id else replace(model, id=name, own_id=model.id)
