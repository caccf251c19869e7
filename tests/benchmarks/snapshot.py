"""The snapshot of 20 servers and 200 jobs: at most 20 ms at p99.

One server and one job change before each, as where everything is busy; and once where nothing changed. In the thread's
own time, so that other programs don't count.

    python -m tests.benchmarks.snapshot [servers] [jobs] [rounds]
"""

import sys
import time

from tests.support.many_views import ManyViews
from ui.web.snapshot import Snapshots
from ui.web.visitor import Role

LIMIT_MS = 20.0


def main(servers: int, jobs: int, rounds: int) -> int:
    """Prints the figures; 1 where they are above the limit."""
    many = ManyViews(servers, jobs)
    snapshots = Snapshots(many.services)
    begun = time.perf_counter()
    size = len(snapshots.get(Role.OPERATOR, "en").body)
    first = time.perf_counter() - begun
    changed, same = list[float](), list[float]()
    for number in range(rounds):
        many.touch(number)
        for times in (changed, same):
            begun = time.thread_time()
            snapshots.get(Role.OPERATOR, "en")
            times.append((time.thread_time() - begun) * 1000)
    p99 = sorted(changed)[int(rounds * 0.99)]
    print(f"{servers} servers, {jobs} jobs, {size / 1000:.0f} kB: the first {first * 1000:.1f} ms")
    for name, times in (("changed", changed), ("same", same)):
        ordered = sorted(times)
        print(f"{name}: p50 {ordered[rounds // 2]:.2f} ms, p99 {ordered[int(rounds * 0.99)]:.2f} ms, {rounds} rounds")
    return int(p99 > LIMIT_MS)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:4]]
    raise SystemExit(main(*(numbers + [20, 200, 2000][len(numbers) :])))
