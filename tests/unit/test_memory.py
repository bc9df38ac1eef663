import threading
import time

import pytest

from deepfer import memory


def test_the_budget_is_shared_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "BUDGET", 10)
    monkeypatch.setattr(memory, "_free", 10)
    held, most = [0], [0]

    def work(size: int) -> None:
        for _ in range(20):
            with memory.lease() as lease:
                lease.take(1)
                lease.take(size)
                held.append(min(size, 10))
                most.append(sum(held))
                time.sleep(0.0001)
                held.remove(min(size, 10))

    threads = [threading.Thread(target=work, args=(size,)) for size in (3, 4, 6, 99)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert max(most) <= 10
    assert memory._free == 10
