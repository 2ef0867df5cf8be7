"""Who calls, and on which App: the two things every endpoint asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ragline.api.sessions import ENDED, Sessions, Token
from ragline.app import App
from ragline.connectors.records.keys import KEY_PREFIX
from ragline.errors import Forbidden, NotSignedIn
from ragline.types import ApiKey, User


def app_of(request: HTTPConnection) -> App:
    app: App = request.app.state.app
    return app


def the_app(request: Request) -> App:
    return app_of(request)


Installation = Annotated[App, Depends(the_app)]


def token_of(request: HTTPConnection) -> str | None:
    """Return the token of a request: bearer header, `x-api-key` header or `token` cookie, in this order."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return value.strip() if scheme.lower() == "bearer" else ""
    return request.headers.get("x-api-key") or request.cookies.get("token")


BEARER = HTTPBearer(auto_error=False, description="An API key (`sk-…`) or the token of a session.")
"""For the description only: it gives the Swagger page its field for a token."""


async def known_user(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]) -> User:
    """Return who calls, whatever their role: the doorkeeper has found out."""
    return identity_of(request).user


def identity_of(request: HTTPConnection) -> Identity:
    identity: Identity = request.state.identity
    return identity


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, and by which API key or session; both are None while auth is off."""

    user: User
    key: ApiKey | None = None
    session: Token | None = None


async def identify(request: HTTPConnection) -> Identity:
    """Return who calls, whatever their role. Raises NotSignedIn, Forbidden for a path that the key is not for."""
    app = app_of(request)
    if not app.settings.auth.enabled:
        return Identity(request.app.state.admin)
    token = token_of(request)
    if token is None:
        raise NotSignedIn("Not authenticated")
    if token.startswith(KEY_PREFIX):
        known = await app.records.keys.identify(token)
        if known is None:
            raise NotSignedIn("the API key is not known, or was deleted")
        user, key = known
        check_route(key, request.url.path)
        return Identity(user, key=key)
    sessions: Sessions = request.app.state.sessions
    session = sessions.read(token)
    found = await app.records.users.in_session(session.user_id, jti=session.jti, stamp=session.stamp)
    if found is None:
        raise NotSignedIn(ENDED)
    return Identity(found, session=session)


def check_route(key: ApiKey, path: str) -> None:
    """Raise Forbidden where an API key is limited to other routes."""
    if key.routes is None or any(path == route or path.startswith(f"{route}/") for route in key.routes):
        return
    raise Forbidden(f"this API key is for {', '.join(key.routes) or 'nothing'} only, not for {path}")


async def active_user(user: Annotated[User, Depends(known_user)]) -> User:
    """Return who calls. Raises Forbidden while an administrator has not admitted them."""
    if user.role == "pending":
        raise Forbidden("an administrator has not admitted this account yet")
    return user


async def administrator(user: Annotated[User, Depends(active_user)]) -> User:
    """Return who calls. Raises Forbidden where it is no administrator, or their key is limited to collections."""
    if not user.sees_all:
        raise Forbidden("this is for administrators")
    return user


async def whole_user(user: Annotated[User, Depends(active_user)]) -> User:
    """Return who calls. Raises Forbidden for an API key that is limited to collections."""
    if user.collections is not None:
        raise Forbidden("this API key is limited to collections: it cannot do this")
    return user


Caller = Annotated[User, Depends(active_user)]
AnyCaller = Annotated[User, Depends(known_user)]
Administrator = Annotated[User, Depends(administrator)]
WholeCaller = Annotated[User, Depends(whole_user)]
