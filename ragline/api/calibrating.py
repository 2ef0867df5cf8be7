"""How a collection is searched: the weight of meaning and words, and what it was found by."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import PathId
from ragline.app import App
from ragline.connectors.records.calibrations import Tuned
from ragline.retrieval.calibrate import MIN_PASSAGES, WEIGHTS
from ragline.retrieval.calibrations import calibrate_collection
from ragline.retrieval.plan import UNTUNED, findings, weight_of

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])


class Point(BaseModel):
    """Mean nDCG@10 of the questions with one weight."""

    dense_weight: float
    ndcg: float


class CalibrationOut(BaseModel):
    """`dense_weight` is what counts now, and `source` what says so; the rest is what was found, if anything."""

    dense_weight: float
    source: Literal["options", "settings", "calibration", "default"]
    found: float | None = None
    questions: int = 0
    passages: int = 0
    curve: list[Point] = Field([], description="Of questions that were made from the collection's own passages.")
    note: str = ""


@router.get("/{collection_id}/calibration")
async def calibration(collection_id: PathId, app: Installation, user: Caller) -> CalibrationOut:
    """Return how meaning and words are weighed in a collection."""
    await app.records.collections.visible(collection_id, user)
    return await shown(app, collection_id)


@router.post("/{collection_id}/calibration")
async def calibrate(request: Request, collection_id: PathId, app: Installation, user: Caller) -> CalibrationOut:
    """Calibrate a collection now, which takes seconds; by itself it happens when it has grown to twice its size."""
    await app.records.collections.writable(collection_id, user)
    await while_present(request, calibrate_collection(app, collection_id))
    return await shown(app, collection_id)


async def shown(app: App, collection_id: str) -> CalibrationOut:
    tuned = (await app.records.calibrations.known(app.embedder.model_id)).get(collection_id, UNTUNED)
    return out(app, tuned)


def out(app: App, tuned: Tuned) -> CalibrationOut:
    settings = app.settings.retrieval
    made = CalibrationOut(dense_weight=weight_of(settings, tuned), source=source_of(app, tuned))
    for found in findings(settings, [tuned]):
        return made.model_copy(
            update={
                "found": found.dense_weight,
                "questions": found.questions,
                "passages": found.passages,
                "curve": [Point(dense_weight=at, ndcg=value) for at, value in zip(WEIGHTS, found.curve, strict=True)],
            }
        )
    return made.model_copy(update={"note": f"not calibrated: that takes {MIN_PASSAGES} passages of some sentences"})


def source_of(app: App, tuned: Tuned) -> Literal["options", "settings", "calibration", "default"]:
    if tuned.dense_weight is not None:
        return "options"
    if app.settings.retrieval.dense_weight is not None:
        return "settings"
    return "calibration" if findings(app.settings.retrieval, [tuned]) else "default"
