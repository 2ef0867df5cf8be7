"""The port of the API, before a web server listens on it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from ragline.config.settings import Server, Settings
from ragline.serve import listening


async def test_small_answers_leave_at_once(tmp_path: Path) -> None:
    """Without TCP_NODELAY the second packet of an answer waits for the first one's acknowledgement: some 40 ms."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        await accepted.put(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listening(Settings(data_dir=tmp_path, server=Server(port=0))) as listener:
        server = await asyncio.start_server(look, sock=listener)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        async with asyncio.timeout(5):
            assert await accepted.get() == 1
        writer.close()
        server.close()
