"""Work that is done in threads before it is asked for: a GPU does not wait while files are read and written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST = 16  # threads beside a GPU; each image that is ready takes memory


def ahead(items: Iterable[Item], function: Callable[[Item], Result], threads: int) -> Iterator[Result]:
    """The function's results in the order of the items, computed by threads; as many are ready or begun as there are.

    An error is raised where its result is due. Each thread computes on one core, whatever torch is set to.

    Args:
        items: what the results are of.
        function: called with one of them.
        threads: how many; 0 to compute each result when it is asked for.
    """
    if not threads:
        yield from map(function, items)
        return
    begun: deque[Future[Result]] = deque()
    cores = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                begun.append(pool.submit(function, item))
                if len(begun) > threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
            torch.set_num_threads(cores)  # the threads' calls hold for parts of torch that do not tell threads apart


def attempted(function: Callable[..., Result], *arguments: object) -> Callable[[], Result]:
    """Calls a function; what is returned gives its result, or raises its error, when it is called."""
    try:
        result = function(*arguments)
    except Exception as error:
        raised = error

        def failed() -> Result:
            raise raised

        return failed
    return lambda: result


def threads_beside(device: torch.device) -> int:
    """Threads that read and write files for a device: none beside a CPU, whose cores have enough to do."""
    return 0 if device.type == "cpu" else min(MOST, torch.get_num_threads())
