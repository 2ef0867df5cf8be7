"""Sign-up, sign-in and API keys."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from ragline.api.caller import AnyCaller, Caller, Installation, token_of
from ragline.api.sessions import Sessions
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import NewKey, Session
from ragline.connectors.records.keys import KEY_PREFIX
from ragline.errors import BadInput, Forbidden
from ragline.types import User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/auths", tags=["auth"])

hasher = PasswordHasher()
"""Argon2id with the library's own parameters: RFC 9106, low-memory profile."""

CLOSED = "sign-up is closed; an administrator can add an account"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SignIn(BaseModel):
    email: str = Field(max_length=320)
    password: str = Field(max_length=1024)


class SignUp(SignIn):
    name: str = Field(min_length=1, max_length=200)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)
    password: str = Field(min_length=8, max_length=1024)


def the_sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


OpenSessions = Annotated[Sessions, Depends(the_sessions)]


@router.post("/signin")
async def sign_in(body: SignIn, app: Installation, sessions: OpenSessions, response: Response) -> Session:
    """Exchange e-mail address and password for a session token."""
    user = await app.records.users.by_email(body.email)
    stored = await app.records.users.password_hash(user.id) if user else None
    if not await asyncio.to_thread(matches, body.password, stored) or user is None:
        raise BadInput("the e-mail address or the password is not right")
    return session_json(user, sessions, response)


@router.post("/signup")
async def sign_up(body: SignUp, app: Installation, sessions: OpenSessions, response: Response) -> Session:
    """Make the first account, the administrator's; from then on sign-up is closed.

    Only while the server listens on this machine alone: elsewhere anybody could be first.
    """
    open_here = app.settings.auth.signup == "first" and app.settings.server.host in LOOPBACK
    if not open_here or await app.records.users.any_with_password():
        raise Forbidden(CLOSED)
    secret = await asyncio.to_thread(hasher.hash, body.password)
    user = await app.records.users.add_first(name=body.name, email=body.email, password_hash=secret)
    if user is None:
        raise Forbidden(CLOSED)
    return session_json(user, sessions, response)


@router.get("")
async def me(request: Request, user: AnyCaller, sessions: OpenSessions, response: Response) -> Session:
    """Return who is signed in, with a fresh token. An API key is not a person: 403."""
    if (token_of(request) or "").startswith(KEY_PREFIX):
        raise Forbidden("an API key cannot do this: sign in with e-mail address and password")
    return session_json(user, sessions, response)


@router.post("/api_key")
async def new_key(app: Installation, user: Caller) -> NewKey:
    """Make an API key. It is shown this once: only its hash is kept."""
    key, _ = await app.records.keys.add(user.id, name="API key")
    return NewKey(api_key=key)


def matches(password: str, stored: str | None) -> bool:
    """Compare in the same time whether the account exists or not."""
    try:
        return hasher.verify(stored or absent(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def absent() -> str:
    """Return a hash that belongs to nobody."""
    return hasher.hash("no such account")


def session_json(user: User, sessions: Sessions, response: Response) -> Session:
    """Return the account and a new token, which is set as a cookie too."""
    token, expires_at = sessions.token(user)
    response.set_cookie("token", token, max_age=sessions.seconds, httponly=True, samesite="lax")
    response.headers["Cache-Control"] = "no-store"
    return Session(
        id=user.id,
        name=user.name,
        role=user.role,
        email=user.email,
        profile_image_url=f"/api/v1/users/{user.id}/profile/image",
        token=token,
        expires_at=expires_at,
    )
