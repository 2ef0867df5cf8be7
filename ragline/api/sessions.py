"""Session tokens: JSON web tokens signed with a secret of this installation. RFC 7519, HS256."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import jwt

from ragline.config.settings import Settings
from ragline.errors import NotSignedIn, SetupError
from ragline.types import User

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key of the size of the hash or larger."""


ENDED = "the token is not valid or has expired; sign in again"


@dataclass(frozen=True, slots=True)
class Token:
    """What a session token says: whose it is, its own id, the stamp of its user then, its end in Unix seconds."""

    user_id: str
    jti: str
    stamp: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Sessions:
    secret: str
    seconds: int

    @classmethod
    def of(cls, settings: Settings) -> Sessions:
        """Use `auth.jwt_secret`, else the one kept in the data folder, made at first need."""
        given = settings.auth.jwt_secret
        secret = given.get_secret_value() if given else kept_secret(settings.data_dir / "jwt-secret")
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise SetupError(f"auth.jwt_secret is too short: at least {MIN_SECRET_BYTES} bytes, such as 64 hex digits")
        return cls(secret, int(settings.auth.session_days * 86400))

    def token(self, user: User) -> tuple[str, int]:
        """Return a new token and when it ends, in Unix seconds."""
        now = int(time.time())
        claims = {
            "id": user.id,
            "iat": now,
            "exp": now + self.seconds,
            "jti": str(uuid.uuid4()),
            "session_stamp": user.session_stamp,
        }
        return jwt.encode(claims, self.secret, ALGORITHM), now + self.seconds

    def read(self, token: str) -> Token:
        """Return what a token says. Raises NotSignedIn when it is not valid any more, or never was."""
        try:
            claims = jwt.decode(token, self.secret, [ALGORITHM], options={"require": ["exp", "id", "jti"]})
            return Token(str(claims["id"]), str(claims["jti"]), int(claims.get("session_stamp", 0)), int(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise NotSignedIn(ENDED) from error


def kept_secret(path: Path) -> str:
    """Return the secret in a file only its owner can read, writing one where there is none."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as target:
        target.write(secrets.token_hex(32))
    return path.read_text().strip()
