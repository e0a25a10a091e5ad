"""`make soak MINUTES=10`: a load on two services over one data folder, harm from all sides, what must hold after it.

SEED=n repeats the choices of a run, though not its moments. The exit code is 1 when a rule was broken.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import documents
import fleet
import harm
import load
import rules
import schedules
import volume
from counts import Counts

EVERY_SECONDS = 30
"""How often the counts are printed."""


def main(minutes: float, seed: int) -> int:
    scratch = Path(tempfile.mkdtemp(prefix="octoflow-soak-"))
    counts, over = Counts(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    print(f"{minutes:g} minutes, SEED={seed}, in {scratch}", flush=True)
    with volume.of_its_own(scratch / "data") as (data, is_small), documents.peer_with_secrets(data) as canaries:
        services = fleet.Fleet(data, counts)
        clients = [load.Client(services, counts, random.Random(f"{seed} client {n}")) for n in range(4)]
        clocks = [random.Random(f"{seed} clock {n}") for n in range(2)]
        reader, caller = load.Reader(data, counts), random.Random(f"{seed} schedules")
        try:
            services.start_all()
            made = schedules.make(services, caller)
            threads = [
                *(threading.Thread(target=client.run, args=(over,)) for client in clients),
                *(threading.Thread(target=load.tick, args=(services, counts, over, choose)) for choose in clocks),
                threading.Thread(target=reader.run, args=(over,)),
                *harm.threads(services, counts, over, seed, is_small),
            ]
            _let_run(threads, over, counts, minutes * 60)
            services.heal()
            schedules.pause(services, caller, made)
            broken = rules.broken(services, clients, reader, counts, canaries)
        finally:
            over.set()
            services.kill_all()
    return _verdict(broken, counts, scratch)


def _let_run(threads: list[threading.Thread], over: threading.Event, counts: Counts, seconds: float) -> None:
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    while (rest := end - time.monotonic()) > 0 and not over.wait(min(EVERY_SECONDS, rest)):
        print(counts.text(), flush=True)
    over.set()
    for thread in threads:
        thread.join()


def _verdict(broken: list[str], counts: Counts, scratch: Path) -> int:
    print(counts.text(in_full=True))
    if broken:
        print(f"BROKEN, {len(broken)} rules; {scratch} is left for a look:")
        print("\n".join(f"- {rule}" for rule in broken))
        return 1
    shutil.rmtree(scratch)
    print("All rules hold.")
    return 0


if __name__ == "__main__":
    volume.alone_with_its_mounts()
    seed = os.environ.get("SEED") or random.randrange(10**6)
    sys.exit(main(float(os.environ.get("MINUTES", "10")), int(seed)))
