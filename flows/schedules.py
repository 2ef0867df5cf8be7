"""`python -m ragline.flows.schedules`: the child of `ragline serve` that runs the syncs when they are due."""

from __future__ import annotations

import asyncio
import logging

from ragline.config.environment import quiet_libraries
from ragline.config.load import load_settings

LOOK_S = 2.0
"""How often Prefect is asked for runs that are due."""


async def main() -> None:
    """Register the deployments and run what is due, each run in a process of its own, until the process is ended."""
    quiet_libraries()
    settings = load_settings()
    from prefect.runner import Runner

    from ragline.flows.deployments import delete_others, deployments

    runner = Runner(name="ragline", query_seconds=LOOK_S, pause_on_shutdown=False, limit=4)
    names = set()
    for deployment in deployments(settings):
        await runner.aadd_deployment(deployment)
        names.add(f"{deployment.flow_name}/{deployment.name}")
    await delete_others(names)
    await runner.start()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main())
