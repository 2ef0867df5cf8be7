"""JSON bodies as RFC 8259 has them: what no text can hold, no number is, or lies too deep is 422 and not a fault."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute


class StrictRequest(Request):
    async def json(self) -> Any:
        """Return the body. Raises orjson.JSONDecodeError, also for NaN, lone surrogates and 1,024 levels of nesting."""
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    """For routers: `route_class=StrictRoute`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict
