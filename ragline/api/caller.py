"""Who calls, and on which App: the two things every endpoint asks for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ragline.api.sessions import Sessions
from ragline.app import App
from ragline.connectors.records.users import KEY_PREFIX
from ragline.errors import Forbidden, NotSignedIn
from ragline.types import User


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
    user: User = request.state.user
    return user


async def identify(request: HTTPConnection) -> User:
    """Return who calls, whatever their role. Raises NotSignedIn."""
    app = app_of(request)
    if not app.settings.auth.enabled:
        admin: User = request.app.state.admin
        return admin
    token = token_of(request)
    if token is None:
        raise NotSignedIn("Not authenticated")
    if token.startswith(KEY_PREFIX):
        user, problem = await app.records.users.by_key(token), "the API key is not known, or was deleted"
    else:
        sessions: Sessions = request.app.state.sessions
        user = await app.records.users.get(sessions.user_id(token))
        problem = "the token is not valid or has expired; sign in again"
    if user is None:
        raise NotSignedIn(problem)
    return user


async def active_user(user: Annotated[User, Depends(known_user)]) -> User:
    """Return who calls. Raises Forbidden while an administrator has not admitted them."""
    if user.role == "pending":
        raise Forbidden("an administrator has not admitted this account yet")
    return user


Caller = Annotated[User, Depends(active_user)]
AnyCaller = Annotated[User, Depends(known_user)]
