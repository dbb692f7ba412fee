"""Topics of the local stack: all of them, with as few partitions as still show keys in order."""

from __future__ import annotations

from shared.contracts.topics import TOPICS
from shared.runtime.kafka import BusError, connection_options
from shared.runtime.kafka_admin import create_topics, wait_for_groups
from shared.runtime.settings import ServiceSettings
from stack.errors import StackError

PARTITIONS_MAX = 3


async def ensure_topics(bootstrap_servers: str) -> list[str]:
    """Create what is missing and wait until consumer groups can form; returns the names created.

    How to log in at a broker of one's own is read from the variables that the services read.

    Raises:
        StackError: when the broker does not answer or refuses.
    """
    settings = ServiceSettings.model_validate(
        {"DATABASE_URL": "", "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}
    )
    options = connection_options(settings)
    try:
        created = await create_topics(options, TOPICS, partitions_max=PARTITIONS_MAX)
        await wait_for_groups(options)
    except BusError as error:
        raise StackError(
            f"The topics could not be made on {bootstrap_servers}: {error}. Check that the broker "
            "runs there (`tieout status`) and lets this user create topics."
        ) from error
    return created
