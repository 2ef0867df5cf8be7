"""Is it up, which version: the routes without a token."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from ragline import __version__
from ragline.api.auth import may_sign_up
from ragline.api.caller import Installation, identify
from ragline.api.permissions import permissions_of
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_config import Config, Features, FileLimits, FullConfig
from ragline.errors import Forbidden, NotSignedIn
from ragline.types import User

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


class Ready(BaseModel):
    """`backends` tells of each connection, by its name, whether it gave its list of models when last asked."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": True, "backends": {"ollama": False}}]})
    status: bool
    backends: dict[str, bool]


@router.get("/ready")
async def ready(app: Installation) -> Ready:
    """Answer 200 when the records can be read, 503 when not, whatever the back ends of the models do."""
    await app.records.check()
    return Ready(status=True, backends=dict(await app.models.states()))


@router.get("/health/db")
async def database(app: Installation) -> dict[str, bool]:
    """Answer 200 when the records can be read, 503 when not."""
    await app.records.check()
    return {"status": True}


@router.get("/api/config", response_model=FullConfig | Config)
async def config(request: Request, app: Installation) -> Config:
    """Tell a client what there is here; with the token of a session more than without."""
    features = Features(
        auth=app.settings.auth.enabled,
        enable_login_form=app.settings.auth.enabled,
        enable_signup=await may_sign_up(app),
    )
    onboarding = not await app.records.users.any_with_password()
    known = Config(version=__version__, features=features, onboarding=onboarding)
    user = await signed_in(request)
    if user is None:
        return known
    limit = FileLimits(max_size=max(1, app.settings.server.max_upload_bytes >> 20))
    return FullConfig(**dict(known), permissions=permissions_of(user), file=limit)


async def signed_in(request: Request) -> User | None:
    """Return the user of the session whose token was sent; None for an API key, and for a token that is not valid."""
    try:
        identity = await identify(request)
    except (NotSignedIn, Forbidden):
        return None
    return identity.user if identity.session is not None else None


@router.get("/api/version")
async def version() -> dict[str, str]:
    """Tell which version of Ragline this is."""
    return {"version": __version__, "deployment_id": ""}
