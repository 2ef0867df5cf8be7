"""Passwords of documents are stored sealed: who has the database, but not the installation's secret, reads none."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from ragline.config.settings import Settings
from ragline.connectors.secret import installation_secret
from ragline.errors import BadInput, ParseFailed

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

MAX_PASSWORD_CHARS = 1024
_PURPOSE = b"ragline password of file "


def seal(settings: Settings, file_id: str, password: str) -> str:
    """Return what is stored of a file's password; it opens for this file only. Raises BadInput for one that is none."""
    check_password(password)
    return _key(settings, file_id).encrypt(password.encode()).decode("ascii")


def unseal(settings: Settings, file_id: str, sealed: str) -> str:
    """Return the password of a file. Raises ParseFailed where it was sealed with another secret."""
    from cryptography.fernet import InvalidToken

    try:
        return _key(settings, file_id).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise ParseFailed(
            "has a password that cannot be used any more, because the secret of this installation has changed "
            f"(auth.jwt_secret); give it again: POST /api/v1/files/{file_id}/password"
        ) from None


def check_password(password: str) -> None:
    """Raise BadInput for what no document has as its password."""
    if not password or len(password) > MAX_PASSWORD_CHARS:
        raise BadInput(f"a document's password has 1 to {MAX_PASSWORD_CHARS} characters, this one {len(password)}")
    if "\0" in password:
        raise BadInput("a document's password has no NUL")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise BadInput("the password of the document is no text") from None


def _key(settings: Settings, file_id: str) -> Fernet:
    """A key for each file, so that what is sealed opens nothing elsewhere. RFC 5869."""
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    secret = installation_secret(settings).encode()
    derived = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE + file_id.encode()).derive(secret)
    return Fernet(urlsafe_b64encode(derived))
