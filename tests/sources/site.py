"""A web site on loopback for the tests: real sockets, pages that a test writes down, and what was asked of it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ragline.config.settings import Parsing
from ragline.connectors.workers import R, Workers

HTML = "text/html; charset=utf-8"


@dataclass
class Page:
    """An answer. With an `etag` or `modified` that the request names, it is 304 instead.

    `once` comes before it, one a request.
    """

    body: bytes = b""
    content_type: str = HTML
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """A value of several lines is sent as several headers."""
    etag: str | None = None
    modified: str | None = None
    once: list[Page] = field(default_factory=list)
    blocks: int = 1
    """The body is sent so many times."""


@dataclass
class Site:
    """What is served, by path and query, and the requests in order."""

    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        """The name of the host in paths of entries."""
        return f"127.0.0.1_{self.port}"

    def html(self, path: str, body: str, *, head: str = "", **more: object) -> None:
        page = f'<!DOCTYPE html><html lang="fr"><head><title>{path}</title>{head}</head><body>{body}</body></html>'
        self.pages[path] = Page(page.encode(), **more)  # type: ignore[arg-type]  # the fields of Page

    def asked_for(self, path: str) -> int:
        return self.asked.count(path)


@contextmanager
def serving(host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Serve a new site for the length of the block."""
    site = Site(scheme="https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.sent.append({name.lower(): value for name, value in self.headers.items()})
            page = site.pages.get(self.path) or Page(b"not here", status=404)
            if page.once:
                page = page.once.pop(0)
            known = (self.headers["If-None-Match"], self.headers["If-Modified-Since"])
            if (page.etag and known[0] == page.etag) or (not page.etag and page.modified and known[1] == page.modified):
                page = Page(status=304, etag=page.etag, modified=page.modified)
            self.answer(page)

        def answer(self, page: Page) -> None:
            fields = {"Content-Type": page.content_type, "ETag": page.etag, "Last-Modified": page.modified}
            if page.status != 304:
                fields["Content-Length"] = str(len(page.body) * page.blocks)
            fields.update(page.headers)
            self.send_response(page.status)
            for name, value in fields.items():
                for line in (value or "").splitlines():
                    self.send_header(name, line)
            self.end_headers()
            try:
                for _ in range(page.blocks):
                    self.wfile.write(page.body)
            except OSError:
                self.close_connection = True  # the client has enough

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that hangs up, or that does not like the certificate

    server = Server((host, port), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class Here(Workers):
    """Workers without processes: a test need not wait for one to start."""

    def __init__(self) -> None:
        super().__init__(Parsing(workers=1))

    async def run(self, function: Callable[..., R], *args: object, timeout_s: float, **kwargs: object) -> R:
        return function(*args, **kwargs)
