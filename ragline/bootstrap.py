"""The first administrator: made once, so that a fresh installation can be used and nobody shares a default key."""

from __future__ import annotations

from ragline.config.settings import Auth
from ragline.connectors.records.store import Records
from ragline.errors import Conflict, SetupError
from ragline.types import User

ADMIN_EMAIL = "admin@localhost"


async def first_admin(records: Records, settings: Auth) -> tuple[User, str | None]:
    """Return the first administrator, and their new API key where one was made or `auth.bootstrap_key` is set.

    Raises SetupError where that key belongs to somebody else.
    """
    admin = await records.users.first_admin()
    given = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else None
    if admin is not None and given is None:
        return admin, None
    if admin is None:
        admin = await added(records)
    try:
        key, _ = await records.keys.add(admin.id, name="bootstrap", key=given)
    except Conflict as error:
        raise SetupError(
            f"auth.bootstrap_key belongs to another user than the first administrator, {admin.email!r}: set another key"
        ) from error
    return admin, key


async def added(records: Records) -> User:
    """Add an administrator without a password, unless another server does so at this moment."""
    try:
        return await records.users.add(name="Admin", email=ADMIN_EMAIL, role="admin", password_hash=None)
    except Conflict:
        found = await records.users.first_admin()
        if found is None:
            raise SetupError(f"there is no administrator, and {ADMIN_EMAIL!r} is another user's address") from None
        return found
