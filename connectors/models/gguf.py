"""A GGUF model in this process, run by llama.cpp: one loaded model and one answer of it. Everything here blocks."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ragline.errors import BackendError, Invalid
from ragline.types import Json

PROMPT_BATCH = 256
"""Tokens of a prompt that are read in one go: between two of them a client that has left is noticed."""

SIGACTION_BYTES = 512
"""More than any system's struct sigaction takes (glibc: 152)."""

SILENT = -1
"""llama.cpp's log level below its errors: they arrive as exceptions and answers anyway."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How an answer ended, and what it took. `prompt_tokens` includes those still known from the chat's last turn."""

    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    prompt_s: float = 0.0
    completion_s: float = 0.0
    load_s: float = 0.0


class Gguf:
    """A loaded model. It answers one request at a time; whoever uses it keeps the others waiting."""

    def __init__(self, path: Path, *, context_tokens: int, threads: int) -> None:
        """Load the weights at `path`, which takes seconds. Raises BackendError when llama.cpp cannot."""
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = os.fspath(path)
        params.n_ctx = context_tokens
        params.n_batch = params.n_ubatch = PROMPT_BATCH
        params.n_parallel = 1
        params.cache_ram_mib = 0
        params.warmup = False
        params.webui = False
        params.n_threads_http = 1
        params.verbosity = SILENT
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.n_threads = threads or os.cpu_count() or 1
            # Threads that wait spinning take the processor from the others; those of OpenMP: config/environment.py.
            cpu.poll = 0
        self.context_tokens = context_tokens
        # The library always opens an HTTP server. It gets a Unix socket in a folder of our own instead of a port, and
        # the folder is gone once it listens: nothing can connect to it.
        with tempfile.TemporaryDirectory(prefix="ragline-", ignore_cleanup_errors=True) as folder:
            params.hostname = os.path.join(folder, "unused.sock")
            try:
                with kept_signals():
                    self._server: Any = xllamacpp.Server(params)
            except RuntimeError as error:
                raise BackendError(
                    f"the model {path.name!r} cannot be loaded ({error}); is there enough memory for its "
                    f"{path.stat().st_size >> 20} MiB? Otherwise delete {str(path)!r} and pull it again"
                ) from error

    def answer(self, wish: Mapping[str, Json], *, deliver: Callable[[str], None], gone: Callable[[], bool]) -> Finish:
        """Generate the answer to `wish` (OpenAI's chat parameters), handing each piece of text to `deliver`.

        Ends early once `gone` is true. Raises Invalid for a prompt longer than the context or values that llama.cpp
        refuses, BackendError for its other failures.
        """
        events = _Events(deliver, gone)
        body = {
            **wish,
            "stream": True,
            "stream_options": {"include_usage": True},
            # Events while the prompt is read, so that `gone` is asked then too.
            "return_progress": True,
            "cache_prompt": True,
        }
        try:
            self._server.handle_chat_completions(body, events.take)
        except (ValueError, TypeError, OverflowError, RuntimeError) as error:
            raise Invalid(f"the model cannot take this request: {error}") from error
        if events.error is not None:
            raise _translated(events.error)
        return events.finish()

    def free(self) -> None:
        """Give the memory back; the model is of no use afterwards."""
        with kept_signals():
            self._server = None
            # The library's methods keep the server in a reference cycle. Its end takes some 40 ms.
            gc.collect()
        # glibc keeps up to 130 MB of what was freed unless it is told.
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


@contextmanager
def kept_signals() -> Iterator[None]:
    """Put the handlers of SIGINT and SIGTERM back: llama.cpp's server takes them over, and nothing else could stop us.

    Through the C library, because Python sets handlers in the main thread only.
    """
    sigaction = getattr(ctypes.CDLL(None), "sigaction", None)
    if sigaction is None:
        yield
        return
    kept = {number: ctypes.create_string_buffer(SIGACTION_BYTES) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in kept.items():
        sigaction(int(number), None, handler)
    try:
        yield
    finally:
        for number, handler in kept.items():
            sigaction(int(number), handler, None)


UNPARSED = "Failed to parse input"
"""How llama.cpp's error begins when an answer, at its end, does not fit the form of the model's chats, as with half a
character last. What was written until then is the answer."""


class _Events:
    """Takes the events of one answer as llama.cpp calls back, in its thread."""

    def __init__(self, deliver: Callable[[str], None], gone: Callable[[], bool]) -> None:
        self.error: Mapping[str, Json] | None = None
        self._deliver = deliver
        self._delivered = False
        self._gone = gone
        self._reason: Literal["stop", "length"] = "stop"
        self._usage: Mapping[str, float] = {}
        self._timings: Mapping[str, float] = {}

    def take(self, event: Mapping[str, Any]) -> bool:
        """Return whether llama.cpp is to stop."""
        if "error" in event:
            if not (self._delivered and str(event["error"].get("message")).startswith(UNPARSED)):
                self.error = event["error"]
            return True
        if self._gone():
            return True
        for choice in event.get("choices", ()):
            if text := choice["delta"].get("content"):
                self._deliver(text)
                self._delivered = True
            if choice["finish_reason"] == "length":
                self._reason = "length"
        self._usage = event.get("usage") or self._usage
        self._timings = event.get("timings") or self._timings
        return False

    def finish(self) -> Finish:
        return Finish(
            reason=self._reason,
            prompt_tokens=int(self._usage.get("prompt_tokens", 0)),
            completion_tokens=int(self._usage.get("completion_tokens", 0)),
            prompt_s=self._timings.get("prompt_ms", 0) / 1000,
            completion_s=self._timings.get("predicted_ms", 0) / 1000,
        )


def _translated(error: Mapping[str, Json]) -> Invalid | BackendError:
    if error.get("type") == "exceed_context_size_error":
        count, limit = error.get("n_prompt_tokens"), error.get("n_ctx")
        return Invalid(
            f"the prompt has {count} tokens, more than the {limit} that the model reads; "
            "send less, lower retrieval.context_tokens or raise embedded_models.context_tokens"
        )
    if error.get("code") == 400:
        return Invalid(f"the model cannot take this request: {error.get('message')}")
    return BackendError(f"the embedded model failed: {error.get('message')}")
