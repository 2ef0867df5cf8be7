"""Which errors mean that the database is away or busy for the moment."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

AWAY = (OperationalError, InterfaceError, PoolTimeout)


def is_outage(error: BaseException) -> bool:
    """Tell whether the database does not answer, or its connection was cut."""
    return isinstance(error, AWAY) or (isinstance(error, DBAPIError) and error.connection_invalidated)
