"""What the endpoints of accounts take and answer, as Open WebUI's clients have it."""

from __future__ import annotations

import time
from typing import Annotated, Any, Self

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator, model_validator

from ragline.api.wire import NO_NUL, Owner
from ragline.types import Account, ApiKey, Role, User

DAY_S = 86_400
LAST_MOMENT = 253_402_300_799
"""The end of the year 9999, in Unix seconds."""

UserId = Annotated[str, Path(max_length=256, pattern=NO_NUL)]
KeyId = Annotated[str, Path(max_length=256, pattern=NO_NUL)]
Wanted = Annotated[str, Query(max_length=320, pattern=NO_NUL)]
Email = Annotated[str, Field(max_length=320, pattern=NO_NUL, examples=["zoe@example.org"])]
"""Of an account there is; of a new one it has to look like one, which is 400 and not 422, as in Open WebUI."""
ADDRESS = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$"
NewEmail = Annotated[
    str,
    Field(max_length=320, pattern=NO_NUL, examples=["zoe@example.org"], json_schema_extra={"pattern": ADDRESS}),
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$"),
    Field(examples=["Zoé Lefèvre"]),
]
NewPassword = Annotated[str, Field(min_length=8, max_length=1024, examples=["une phrase de passe"])]


class Refusal(BaseModel):
    detail: str


def refusal(status: int, why: str) -> dict[int | str, dict[str, Any]]:
    """Return the description of an error that a route like this would not be expected to answer."""
    return {status: {"model": Refusal, "description": why}}


def example(**body: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [body]})


class SignIn(BaseModel):
    """Who signs in. While `auth.enabled` is off both may be empty."""

    email: Email
    password: str = Field(max_length=1024, examples=["une phrase de passe"])


class SignUp(BaseModel):
    name: Name
    email: NewEmail
    password: NewPassword


class NewUser(SignUp):
    """An account that an administrator makes; one that is `pending` can do nothing until it is admitted."""

    role: Role = "pending"


class PasswordChange(BaseModel):
    password: str = Field(max_length=1024, examples=["une phrase de passe"])
    new_password: NewPassword


class UserChange(BaseModel):
    """What to change of an account; what is left out, or null, stays."""

    name: Name | None = None
    email: NewEmail | None = None
    role: Role | None = None
    password: NewPassword | None = None


class RoleChange(BaseModel):
    id: str = Field(max_length=256, pattern=NO_NUL)
    role: Role


class SignedIn(BaseModel):
    """An account and a token for it."""

    id: str
    name: str
    role: Role
    email: str
    profile_image_url: str
    token: str
    token_type: str = "Bearer"


class Session(SignedIn):
    """Who is signed in, their token and its end in Unix seconds, and what they may do, by group."""

    expires_at: int
    permissions: dict[str, dict[str, bool]]


class Me(Session):
    """A session as its owner sees it; nobody sets a status here."""

    status_emoji: str | None = None
    status_message: str | None = None
    status_expires_at: int | None = None


class SignedOut(BaseModel):
    status: bool = True


class MadeKey(BaseModel):
    """An API key: whole when it is made, later only its ends."""

    api_key: str


class NewKey(BaseModel):
    """A key to be made. `routes`: it may call only paths that begin so. `collections`: it sees only these.

    It ends at `expires_at` (Unix seconds) or in `expires_in_days`; without either it does not. Unknown names are 422: a
    limit that is misspelled must not make a key without one.
    """

    model_config = example(name="lecture seule", expires_in_days=90, routes=["/api/chat"]) | ConfigDict(extra="forbid")
    name: Name = "API key"
    expires_at: int | None = Field(None, gt=0, le=LAST_MOMENT)
    expires_in_days: float | None = Field(None, gt=0, le=36_500)
    routes: list[Annotated[str, Field(max_length=500)]] | None = Field(None, min_length=1, max_length=100)
    collections: list[Annotated[str, Field(max_length=256, pattern=NO_NUL)]] | None = Field(
        None, min_length=1, max_length=100
    )

    @field_validator("routes")
    @classmethod
    def prefixes(cls, routes: list[str] | None) -> list[str] | None:
        return None if routes is None else sorted({prefix_of(route) for route in routes})

    @model_validator(mode="after")
    def one_end(self) -> Self:
        if self.expires_at is not None and self.expires_in_days is not None:
            raise ValueError("give expires_at or expires_in_days, not both")
        if self.expires_at is not None and self.expires_at <= time.time():
            raise ValueError("expires_at is in the past; it counts in Unix seconds")
        return self

    def ends_at(self) -> int | None:
        """Return when the key ends, in Unix seconds; None: never."""
        if self.expires_in_days is not None:
            return int(time.time() + self.expires_in_days * DAY_S)
        return self.expires_at


def prefix_of(route: str) -> str:
    """Return a route without its final slash. Raises ValueError for what begins no path."""
    known = route.rstrip("/")
    if not known.startswith("/") or "//" in known or not known.isprintable() or set(known) & set(" ?#%\\"):
        raise ValueError(f"{route!r} begins no path: write it as '/api/chat', and leave routes out to allow all")
    return known


class KeyOut(BaseModel):
    """What is known of an API key; times in Unix seconds, `last_used_at` exact to some minutes."""

    id: str
    name: str
    hint: str
    routes: list[str] | None
    collections: list[str] | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None

    @classmethod
    def of(cls, key: ApiKey, **more: Any) -> Self:
        return cls.model_validate({name: getattr(key, name) for name in KeyOut.model_fields} | more)


class NewKeyOut(KeyOut, MadeKey):
    """A key that was made just now: `api_key` is shown this once."""


class KeyList(BaseModel):
    items: list[KeyOut]
    total: int


class UserOut(BaseModel):
    """An account as administrators see it; times in Unix seconds, `last_active_at` exact to some minutes."""

    id: str
    name: str
    email: str
    role: Role
    profile_image_url: str
    last_active_at: int
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, account: Account) -> Self:
        return cls(
            **who(account.user),
            last_active_at=account.last_active_at,
            created_at=account.created_at,
            updated_at=account.updated_at,
        )


class UserList(BaseModel):
    users: list[UserOut]
    total: int


class FoundUsers(BaseModel):
    users: list[Owner]
    total: int


def who(user: User) -> dict[str, Any]:
    """Return the keys that say who a user is."""
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "profile_image_url": f"/api/v1/users/{user.id}/profile/image",
    }
