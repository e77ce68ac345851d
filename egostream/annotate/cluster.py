"""Work over a Ray cluster: Ray's own tasks and retries. Nothing here knows what the work is."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TypeVar

from egostream.errors import EgostreamError, first_line

#: How often a task is given to another machine after its own died. Ray's default.
RETRIES = 3
#: Longest wait for a cluster to answer, seconds.
PATIENCE_S = 30
Item = TypeVar("Item")
Result = TypeVar("Result")


@contextlib.contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """Context with Ray, connected to a cluster. Raises EgostreamError.

    address: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``: the cluster that this machine belongs to, or ``local``: this
    machine alone.
    """
    try:
        import ray
    except ImportError:
        raise EgostreamError("--ray needs Ray: pip install 'egostream[ray]', on every machine of the cluster") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that we start tells nobody of it
    was_there = ray.is_initialized()
    try:
        if not was_there:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise EgostreamError(
            f"--ray {address}: no cluster answers ({first_line(error)}). Start one: ray start --head; or --ray local"
        ) from None
    try:
        yield ray
    finally:
        if not was_there:
            ray.shutdown()


def each_on_ray(
    address: str, function: Callable[[Item], Result], items: Sequence[Item], cores: int = 1
) -> Iterator[tuple[Item, Result | EgostreamError]]:
    """Each item with what ``function`` makes of it on some machine of a cluster, as they get done.

    A task whose machine dies is done again on another one, up to RETRIES times; what failed for good comes as an
    EgostreamError. What is not done when the iterator is closed is cancelled. function: of a module that every machine
    can import. cores: of a task. Raises EgostreamError where no cluster answers.
    """
    with connected(address) as ray:
        task = ray.remote(in_folder).options(num_cpus=cores, max_retries=RETRIES)
        pending = {task.remote(os.getcwd(), function, item): item for item in items}
        try:
            while pending:
                (done,), _ = ray.wait(list(pending), num_returns=1)
                item = pending.pop(done)
                try:
                    result = ray.get(done)
                except ray.exceptions.RayError as error:
                    result = EgostreamError(f"{item}: {first_line(error)}")
                yield item, result
        finally:
            for left in pending:
                ray.cancel(left, force=True)


def in_folder(folder: str, function: Callable[[Item], Result], item: Item) -> Result:
    """``function(item)``, with relative paths meaning what they mean where the command was typed."""
    with contextlib.suppress(OSError):  # a machine that lacks the folder can do with what is elsewhere
        os.chdir(folder)
    return function(item)
