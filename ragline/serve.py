"""`ragline serve`: the API, ingestion and Prefect in one, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn

from ragline.api.server import create_api, events_written
from ragline.app import App, Stores, check_sources, open_app, prepare_folder
from ragline.background import in_background
from ragline.bootstrap import first_admin
from ragline.config.environment import quiet_libraries
from ragline.config.settings import Settings
from ragline.errors import SetupError
from ragline.flows.dispatch import dispatching
from ragline.flows.prefect_server import PrefectServer
from ragline.flows.runner import ingesting
from ragline.flows.scheduling import schedules
from ragline.flows.sync_ends import ends_told
from ragline.flows.watched import Watched
from ragline.pipelines.forget import left_over
from ragline.retrieval.calibrations import keep_calibrated
from ragline.running import noted

log = logging.getLogger(__name__)

GRACE_S = 2
"""How long requests in progress may go on after the signal to stop."""

Say = Callable[[str], None]


async def run(settings: Settings, *, say: Say) -> None:
    """Serve until SIGINT or SIGTERM. Raises SetupError for a taken port, a locked or an unwritable folder."""
    quiet_libraries()
    start_logging(settings)
    check_sources(settings)
    data_dir = prepare_folder(settings.data_dir)
    prefect = PrefectServer(settings.prefect, data_dir=data_dir) if settings.prefect.enabled else None
    with listening(settings) as listener:
        if prefect:
            await prefect.start()
        try:
            async with open_app(settings) as app:
                await serve(app, listener, prefect, say)
        finally:
            if prefect:
                await prefect.stop()


async def serve(app: App, listener: socket.socket, prefect: PrefectServer | None, say: Say) -> None:
    admin, key = await first_admin(app.records, app.settings.auth)
    api = create_api(app, admin=admin, runs_url=prefect.ui_url if prefect else None)
    app.models.start()
    config = uvicorn.Config(
        api,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="off",
        server_header=False,
    )
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    for line in banner(app.settings, url, prefect, key):
        say(line)
    sources = tuple(source.name for source in app.settings.sources)
    api_url = prefect.api_url if prefect else None
    with noted(app.settings.data_dir, url=url, prefect_api_url=api_url, sources=sources):
        async with working(app, prefect), events_written(api):
            gc.collect()
            gc.freeze()  # what is there now stays; to look through it takes 0.1 s, in which nobody is answered
            await Server(config, app).serve(sockets=[listener])


@contextlib.asynccontextmanager
async def working(app: App, prefect: PrefectServer | None) -> AsyncIterator[None]:
    """Ingest here, or have a work pool do it; run the syncs when they are due and watch folders."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(ends_told(app))
        if prefect and app.settings.prefect.work_pool is not None:
            await stack.enter_async_context(dispatching(app, prefect))
        else:
            await stack.enter_async_context(ingesting(app, watched(app, prefect) if prefect else None))
            if prefect and (app.settings.sources or app.settings.evaluations):
                await stack.enter_async_context(schedules(app, prefect))
        await stack.enter_async_context(in_background(keep_calibrated(app)))
        await warn_of_sources(app)
        yield


async def warn_of_sources(stores: Stores) -> None:
    """Log which sources nobody syncs, and why."""
    for name in await left_over(stores):
        log.warning("source %r is not in the settings any more; its files stay: see `ragline forget`", name)
    pool = stores.settings.prefect.work_pool
    for one in stores.settings.evaluations:
        if one.cron is not None and not stores.settings.prefect.enabled:
            log.warning("evaluation %r does not run on time: prefect.enabled is off; call `ragline eval`", one.name)
    for source in stores.settings.sources:
        if not stores.settings.prefect.enabled and (source.watch or source.cron or source.interval_s):
            log.warning(
                "source %r is not synced on time: prefect.enabled is off; call `ragline sync` when it should be",
                source.name,
            )
        elif source.watch and pool is not None:
            log.warning("source %r is not watched: its syncs run on the work pool %r, by schedule", source.name, pool)


def watched(app: App, prefect: PrefectServer) -> Watched:
    """Report runs to Prefect; where that and Qdrant are the user's own servers, other processes may do so too."""
    alone = prefect.is_child or app.settings.vectors.url is None
    return Watched(prefect, alone=alone, signals_are_ours=True)


class Server(uvicorn.Server):
    """Stops on a signal and then lets the rest be closed too; uvicorn itself would raise the signal once more."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app
        self._closing: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.stop_on, number)
        yield
        for number in signals:
            loop.remove_signal_handler(number)

    def stop_on(self, number: signal.Signals) -> None:
        """Stop serving; what is cut short by it is no error. Once more does not wait for requests in progress."""
        log.info("%s: stopping", number.name)
        for cut_short in ("uvicorn.error", "prefect", "prefect.task_runs", "prefect.flow_runs"):
            logging.getLogger(cut_short).setLevel(logging.CRITICAL)
        self._closing = self._closing or asyncio.create_task(self._app.models.close())  # answers end with 503
        self.handle_exit(number, None)


def banner(settings: Settings, url: str, prefect: PrefectServer | None, key: str | None) -> Iterator[str]:
    """Yield what was started and where."""
    yield f"Ragline is at     {url}"
    if settings.env == "dev":
        yield f"API documentation {url}/docs"
    else:
        yield "API documentation off (start with ENV=dev for /docs)"
    yield f"Prefect UI        {prefect.ui_url}" if prefect else "Prefect UI        off (prefect.enabled)"
    yield f"Data folder       {settings.data_dir.resolve()}"
    if not settings.auth.enabled:
        yield "API key           none is needed (auth.enabled is off): everyone on this machine is the administrator"
    elif settings.auth.bootstrap_key:
        yield "API key           the one you set as auth.bootstrap_key"
    elif key:
        yield f"API key           {key}   (shown this once; `ragline key` makes another)"


def start_logging(settings: Settings) -> None:
    """Log to standard error; of the libraries only warnings. Prefect keeps its own lines for its UI."""
    ours = logging.StreamHandler()
    ours.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.startswith("ragline"))
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=settings.log_level.upper(), format=form, handlers=[ours])


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """Hold the API's port from the start, so that a taken one is known before anything is opened."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except socket.gaierror as error:
            raise SetupError(f"cannot listen on {host!r}: {error.strerror}; name an address of this machine") from error
        except OSError as error:
            raise SetupError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port "
                "or RAGLINE_SERVER__PORT"
            ) from error
        listener.set_inheritable(False)
        yield listener
