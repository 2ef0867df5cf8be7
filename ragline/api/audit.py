"""The audit: what records, bytes, vectors and cache say differently, and its repair."""

from __future__ import annotations

from fastapi import APIRouter, Request

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.errors import Forbidden
from ragline.pipelines.audit import Report, audit
from ragline.types import User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/audit", tags=["audit"])


@router.get("")
async def look(request: Request, app: Installation, user: Caller) -> Report:
    """Compare everything that is stored and name what does not agree; for administrators."""
    check_admin(user)
    return await while_present(request, audit(app, repair=False))


@router.post("")
async def repair(request: Request, app: Installation, user: Caller) -> Report:
    """The same, and mend what can be mended."""
    check_admin(user)
    return await while_present(request, audit(app, repair=True))


def check_admin(user: User) -> None:
    if not user.is_admin:
        raise Forbidden("an audit looks at the files of everybody: only an administrator may ask for it")
