"""Where a git repository is, and a client that reaches it within limits of time and network."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from dulwich.client import GitClient, default_user_agent_string, get_transport_and_path
from dulwich.config import StackedConfig
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection

from ragline.connectors.sources.addresses import check_addresses
from ragline.errors import BadInput, Forbidden

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 120.0
"""Longest silence of a server: it counts and packs objects before it sends the first."""

SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
"""Never asks for a password, never waits for ever."""

NAME_BESIDE_TOKEN = "oauth2"
"""Hosts that take a token look at the password only, but a name there must be."""

_SCP = re.compile(r"(?:\w[\w.-]*@)?(\w[\w.-]*):(.+)")  # git@host:path


@dataclass(frozen=True, slots=True)
class Place:
    """A repository's location taken apart; `host` and `port` are "" and 0 for one on this machine."""

    url: str
    scheme: Literal["http", "https", "ssh", "file"]
    host: str = ""
    port: int = 0
    path: str = ""


def place_of(location: str) -> Place:
    """Take a location apart. Raises BadInput for one that is not supported, or that has a password in it."""
    if "://" not in location:
        found = _SCP.fullmatch(location)
        if found is None:
            return Place(str(Path(location).expanduser().absolute()), "file")
        return Place(location, "ssh", found[1], 22, found[2].lstrip("/"))
    try:
        parts = urlsplit(location)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadInput(f"location: not a valid address: {error}") from error
    if parts.password:
        raise BadInput(f"location: the address of {host!r} has a password in it; write it to secrets.password")
    if parts.scheme == "file":
        return Place(location, "file")
    ports = {"http": 80, "https": 443, "ssh": 22}
    if parts.scheme not in ports or not re.match(r"[\w:]", host):
        known = "https://, http://, ssh://, user@host:path, file://, a folder"
        raise BadInput(f"location: {location!r} is no repository that can be read safely; use one of {known}")
    scheme = cast('Literal["http", "https", "ssh"]', parts.scheme)
    return Place(location, scheme, host, port or ports[scheme], parts.path.lstrip("/"))


@contextmanager
def connect(
    place: Place, *, username: str | None, password: str | None, ssh_key: str | None, allow_private: bool
) -> Iterator[tuple[GitClient, bytes]]:
    """Give a client and the path to ask it for; `username` and `password` are for http and https.

    Over these, no private address is spoken to but that of the place's own host, if `allow_private`, also where a
    redirect leads there: the client then raises Forbidden. Proxies and git's settings of this machine play no part.
    """
    web = place.scheme in ("http", "https")
    with closing(_Pool(private_host=place.host if allow_private else None)) as pool:
        client, path = get_transport_and_path(
            place.url,
            config=StackedConfig([]),
            quiet=True,
            username=(username or NAME_BESIDE_TOKEN) if web and password else None,
            password=password if web else None,
            key_filename=ssh_key,
            ssh_command=SSH,
            pool_manager=pool,
        )
        with closing(client):
            yield client, path.encode()


class _Pool(PoolManager):
    def __init__(self, *, private_host: str | None) -> None:
        super().__init__(
            headers={"User-Agent": default_user_agent_string()},
            timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=Retry(total=5, connect=1, read=0, redirect=3, other=0),
        )
        self._private_host = private_host
        self._answers: list[BaseHTTPResponse] = []

    def urlopen(self, method: str, url: str, redirect: bool = True, **more: Any) -> BaseHTTPResponse:  # type: ignore[override]  # as PoolManager has it
        self._answers.append(super().urlopen(method, url, redirect, **more))
        return self._answers[-1]

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: dict[str, Any] | None = None,
    ) -> HTTPConnectionPool:
        pool = super().connection_from_host(host, port, scheme, pool_kwargs)
        private = self._private_host is not None and pool.host == self._private_host.lower()
        if isinstance(pool, HTTPSConnectionPool):
            pool.ConnectionCls = _PrivateTLSConnection if private else _PublicTLSConnection
        else:
            pool.ConnectionCls = _PrivateConnection if private else _PublicConnection
        return pool

    def close(self) -> None:
        """Close the connections, and the answers that dulwich leaves open where it is refused."""
        for answer in self._answers:
            answer.close()
        self.clear()


class _PublicConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn(), self.host, allow_private=False)


class _PublicTLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn(), self.host, allow_private=False)


class _PrivateConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn(), self.host, allow_private=True)


class _PrivateTLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn(), self.host, allow_private=True)


def _checked(connected: socket.socket, host: str, *, allow_private: bool) -> socket.socket:
    """Let go of an address that is not allowed before anything is said to it. Raises Forbidden."""
    try:
        check_addresses(host, [connected.getpeername()[0].partition("%")[0]], allow_private=allow_private)
    except Forbidden:
        connected.close()
        raise
    return connected
