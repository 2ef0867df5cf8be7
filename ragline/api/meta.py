"""Is it up, which version: the routes without a token."""

from __future__ import annotations

from fastapi import APIRouter

from ragline import __version__
from ragline.api.caller import Installation
from ragline.api.strict_json import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["meta"])


@router.get("/", include_in_schema=False)
async def root() -> dict[str, str]:
    """Tell who is here, to somebody who opens the address in a browser."""
    return {"name": "Ragline", "version": __version__, "models": "/api/models", "documentation": "/docs (with ENV=dev)"}


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> dict[str, bool]:
    """Answer as long as the process serves requests."""
    return {"status": True}


@router.get("/ready")
@router.get("/health/db")
async def ready(app: Installation) -> dict[str, bool]:
    """Answer 200 when the records can be read, 503 when not."""
    await app.records.check()
    return {"status": True}


@router.get("/api/version")
async def version() -> dict[str, str]:
    return {"version": __version__, "deployment_id": ""}
