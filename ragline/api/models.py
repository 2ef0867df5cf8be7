"""`GET /api/models`: the models of all back ends."""

from __future__ import annotations

from fastapi import APIRouter

from ragline.api.caller import Caller, Installation
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import ModelList, ModelOut

router = APIRouter(route_class=StrictRoute, tags=["models"])


@router.get("/api/models", response_model_exclude_none=True)
@router.get("/api/v1/models", response_model_exclude_none=True)
async def models(app: Installation, _: Caller, refresh: bool = False) -> ModelList:
    """List what can be chatted with; `refresh` asks the back ends anew."""
    return ModelList(data=[ModelOut.of(model) for model in await app.models.list(refresh)])
