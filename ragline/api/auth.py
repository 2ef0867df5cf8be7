"""Sign-up, sign-in, sign-out, one's own password, and accounts that administrators add."""

from __future__ import annotations

import re
import unicodedata
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from ragline.api import keys
from ragline.api.caller import Administrator, AnyCaller, Identity, Installation, identity_of, token_of
from ragline.api.permissions import permissions_of
from ragline.api.sessions import Sessions
from ragline.api.signing import Signing
from ragline.api.strict_json import StrictRoute
from ragline.api.wire_users import (
    ADDRESS,
    Me,
    NewUser,
    PasswordChange,
    Session,
    SignedIn,
    SignedOut,
    SignIn,
    SignUp,
    refusal,
    who,
)
from ragline.app import App
from ragline.connectors.records.keys import KEY_PREFIX
from ragline.errors import BadInput, Forbidden, NotSignedIn
from ragline.types import User

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/auths", tags=["auth"])

CLOSED = "sign-up is closed; an administrator can add an account (POST /api/v1/auths/add)"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "token"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request about a session, and its response."""

    request: Request
    response: Response
    sessions: Sessions
    passwords: Signing

    def attempt(self, email: str) -> AbstractContextManager[None]:
        """Return the block in which a password may be tried, see `Signing.attempt`."""
        client = self.request.client
        return self.passwords.attempt(email, client.host if client else None)

    def tried(self, user: User | None) -> None:
        """Have the log of events tell which account was tried; None: one that does not exist."""
        self.request.state.account = user.id if user else None

    def begin(self, user: User) -> Session:
        """Return a new session, whose token is set as a cookie too."""
        token, ends_at = self.sessions.token(user)
        secure = self.request.url.scheme == "https"
        seconds = self.sessions.seconds
        self.response.set_cookie(COOKIE, token, max_age=seconds, httponly=True, samesite="lax", secure=secure)
        return self.shown(user, token, ends_at)

    def shown(self, user: User, token: str, ends_at: int) -> Session:
        self.keep_nowhere()
        return Session(**who(user), token=token, expires_at=ends_at, permissions=permissions_of(user))

    def clear_cookie(self) -> None:
        self.keep_nowhere()
        self.response.delete_cookie(COOKIE, httponly=True, samesite="lax")

    def keep_nowhere(self) -> None:
        self.response.headers["Cache-Control"] = "no-store"


async def exchange(request: Request, response: Response) -> Exchange:
    return Exchange(request, response, request.app.state.sessions, request.app.state.signing)


async def person(request: Request, _: AnyCaller) -> Identity:
    """Return who calls. Raises Forbidden for an API key, which is no person."""
    identity = identity_of(request)
    if identity.key is not None:
        raise Forbidden("an API key cannot do this: sign in with e-mail address and password")
    return identity


About = Annotated[Exchange, Depends(exchange)]
Person = Annotated[Identity, Depends(person)]


@router.post("/signin")
async def sign_in(body: SignIn, app: Installation, about: About) -> Session:
    """Exchange e-mail address and password for a session token, which is set as a cookie too.

    After `auth.max_failures` failures of one account, or from one address, the answer is 429 for a while.
    """
    if not app.settings.auth.enabled:
        admin: User = about.request.app.state.admin
        about.tried(admin)
        return about.begin(admin)
    email = composed(body.email)
    with about.attempt(email):
        user = await app.records.users.by_email(email)
        about.tried(user)
        stored = await app.records.users.password_hash(user.id) if user else None
        if not await about.passwords.matches(body.password, stored) or user is None:
            raise BadInput("the e-mail address or the password is not right")
    return about.begin(user)


@router.post("/signup", responses=refusal(403, "sign-up is closed"))
async def sign_up(body: SignUp, app: Installation, about: About) -> Session:
    """Make an account of one's own, where `auth.signup` lets one.

    The first one with a password is the administrator's, only while the server listens on this machine alone:
    elsewhere anybody could be first. With `auth.signup = "open"` the others get the role `auth.default_role`.
    """
    if not await may_sign_up(app):
        raise Forbidden(CLOSED)
    email = email_of(body.email)
    with about.attempt(email):
        about.tried(None)
        secret = await about.passwords.hashed(body.password)
        user = await first_or_other(app, name=body.name, email=email, password_hash=secret)
        about.tried(user)
    return about.begin(user)


@router.post("/signout")
async def sign_out(app: Installation, about: About) -> SignedOut:
    """End the session whose token was sent, for good, and clear the cookie; without a token only the latter."""
    about.clear_cookie()
    token = token_of(about.request)
    if token and not token.startswith(KEY_PREFIX):
        with suppress(NotSignedIn):
            session = about.sessions.read(token)
            await app.records.users.end_session(session.jti, expires_at=session.expires_at)
            about.request.state.account = session.user_id
    return SignedOut()


@router.get("")
async def me(user: AnyCaller, identity: Person, about: About) -> Me:
    """Return who is signed in, by which token and until when. An API key is not a person: 403."""
    sent = token_of(about.request)
    if identity.session is None or sent is None:  # auth is off
        return Me(**dict(about.begin(user)))
    return Me(**dict(about.shown(user, sent, identity.session.expires_at)))


@router.post("/update/password")
async def change_password(body: PasswordChange, app: Installation, identity: Person, about: About) -> bool:
    """Change one's own password. All sessions of the account end, this one too; API keys stay."""
    user = identity.user
    with about.attempt(user.email):
        if not await about.passwords.matches(body.password, await app.records.users.password_hash(user.id)):
            raise BadInput("the present password is not right; nothing was changed")
    secret = await about.passwords.hashed(body.new_password)
    await app.records.users.change(user.id, password_hash=secret)
    about.clear_cookie()
    return True


@router.post("/add")
async def add(body: NewUser, app: Installation, _: Administrator, about: About) -> SignedIn:
    """Add an account, with a first token for it; for administrators. 409 where the e-mail address is taken."""
    email = email_of(body.email)
    secret = await about.passwords.hashed(body.password)
    user = await app.records.users.add(name=body.name, email=email, role=body.role, password_hash=secret)
    about.keep_nowhere()
    return SignedIn(**who(user), token=about.sessions.token(user)[0])


async def may_sign_up(app: App) -> bool:
    """Return whether a stranger may make an account now."""
    mode = app.settings.auth.signup
    return mode == "open" or (mode == "first" and here_alone(app) and not await app.records.users.any_with_password())


def here_alone(app: App) -> bool:
    return app.settings.server.host in LOOPBACK


async def first_or_other(app: App, *, name: str, email: str, password_hash: str) -> User:
    """Add the administrator if nobody has a password yet, else, where sign-up is open, a user of the default role."""
    users = app.records.users
    first = await users.add_first(name=name, email=email, password_hash=password_hash) if here_alone(app) else None
    if first is not None:
        return first
    if app.settings.auth.signup != "open":
        raise Forbidden(CLOSED)
    return await users.add(name=name, email=email, role=app.settings.auth.default_role, password_hash=password_hash)


def composed(email: str) -> str:
    """Return an e-mail address as it is compared."""
    return unicodedata.normalize("NFC", email.strip()).lower()


def email_of(text: str) -> str:
    """Return an e-mail address as it is kept. Raises BadInput for what is none."""
    email = composed(text)
    if not re.fullmatch(ADDRESS, email) or len(email) > 320:
        raise BadInput(f"{text!r} is no e-mail address: write it as zoe@example.org")
    return email


router.routes += keys.router.routes
