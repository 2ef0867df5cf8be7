"""What commands do in the Prefect that a running server has: a sync as a run of its flow, and deployments."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ragline.config.settings import Settings
from ragline.errors import RaglineError, Unavailable
from ragline.flows.prefect_server import PrefectServer

if TYPE_CHECKING:
    from ragline.pipelines.sync import Sync

log = logging.getLogger(__name__)


async def sync_reported(sync: Sync, api_url: str) -> bool:
    """Run a sync as a run of the flow `sync`; False where Prefect failed, and the sync may be half done.

    Raises what stops the sync itself.
    """
    from prefect import flow
    from prefect.client.schemas.objects import State
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from ragline.flows.sync import follow

    stopped: list[RaglineError] = []

    @flow(name="sync", flow_run_name="sync {source}", validate_parameters=False)
    async def sync_here(source: str) -> State[None]:
        try:
            return await follow(sync)
        except RaglineError as error:
            stopped.append(error)
            raise

    done = False
    try:
        with temporary_settings({PREFECT_API_URL: api_url}):
            await sync_here(sync.settings.name, return_state=True)
        done = True
    except Exception:  # Prefect's own trouble must not cost a sync
        log.warning("Prefect failed in a run: going on without it", exc_info=True)
    if stopped:
        raise stopped[0]
    return done


async def deploy_at(settings: Settings, api_url: str) -> list[str]:
    """Create or update the deployments in the Prefect at this address, and return their full names.

    Raises Unavailable where none answers.
    """
    prefect = PrefectServer(settings.prefect.model_copy(update={"api_url": api_url}), data_dir=settings.data_dir)
    if not await prefect.answers():
        raise Unavailable(f"no Prefect server answers at {api_url}: start it, or `ragline serve`, which starts one")
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from ragline.flows.deployments import deploy

    with temporary_settings({PREFECT_API_URL: api_url}):
        return await deploy(settings)
