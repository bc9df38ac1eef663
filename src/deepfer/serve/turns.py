"""Who works next, so that nobody waits long for what others have sent."""

import asyncio
import heapq
from itertools import count


class Turns:
    """Places for work, given to the smallest picture that waits; of equal ones, to the first.

    Args:
        places: How many may work at the same time.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._numbers = count()
        self._line: list[tuple[int, int, asyncio.Future[None]]] = []

    async def take(self, size: int) -> None:
        """Wait for a place; `give_back` must follow.

        Args:
            size: Smaller ones go first.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = size, next(self._numbers), turn
        heapq.heappush(self._line, entry)
        self._go_on()
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._line:
                self._line.remove(entry)
                heapq.heapify(self._line)
            elif not turn.cancelled():  # its turn came as it gave up
                self.give_back()
            raise

    def give_back(self) -> None:
        """Leave a place to the next one."""
        self._free += 1
        self._go_on()

    def _go_on(self) -> None:
        while self._free and self._line:
            *_, turn = heapq.heappop(self._line)
            if not turn.cancelled():
                self._free -= 1
                turn.set_result(None)
