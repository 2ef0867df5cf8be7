"""Session tokens: JSON web tokens signed with a secret of this installation. RFC 7519, HS256."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

import jwt

from ragline.config.settings import Settings
from ragline.connectors.secret import installation_secret
from ragline.errors import NotSignedIn
from ragline.types import User

ALGORITHM = "HS256"

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
        """Use the secret of this installation. Raises SetupError for one that is too short."""
        return cls(installation_secret(settings), int(settings.auth.session_days * 86400))

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
