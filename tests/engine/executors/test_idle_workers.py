"""Workers that wait: woken by nudges, given jobs, and never lost between the two."""

from __future__ import annotations

from threading import Condition, Event, RLock, Thread

from services import until

from engine.executors.idle import IdleWorkers


class Room:
    """Idle workers, each in a thread that notes what it left with."""

    def __init__(self, workers):
        self.changed, self.closing = Condition(RLock()), Event()
        self.idle = IdleWorkers(self.changed, self.closing)
        self.left = []
        self.threads = [Thread(target=self._wait, daemon=True) for _ in range(workers)]
        for thread in self.threads:
            thread.start()
        until(lambda: len(self.changed._waiters) == workers)

    def _wait(self):
        self.left.append(self.idle.wait(seen=0))

    def close(self):
        with self.changed:
            self.closing.set()
            self.changed.notify_all()

    def all_left(self):
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        return self.left


def test_a_nudge_lets_one_worker_leave_with_nothing():
    room = Room(2)

    room.idle.nudge(1)

    until(lambda: room.left == [None])
    assert room.idle.reserve()


def test_a_worker_that_is_reserved_is_not_nudged_away_from_its_job():
    room = Room(1)

    assert room.idle.reserve()
    room.idle.nudge(1)
    until(lambda: len(room.changed._waiters) == 1)  # It woke, and went back to sleep.
    assert room.left == []
    room.idle.give("job")

    assert room.all_left() == ["job"]


def test_there_are_as_many_reservations_as_workers():
    room = Room(2)

    assert [room.idle.reserve() for _ in range(3)] == [True, True, False]
    room.idle.let_go()
    assert room.idle.reserve()


def test_a_worker_that_was_let_go_hears_the_nudge_that_came_meanwhile():
    room = Room(1)

    room.idle.reserve()
    room.idle.nudge(1)
    room.idle.let_go()

    assert room.all_left() == [None]
    assert room.idle.owed == 0


def test_a_nudge_that_reaches_a_worker_with_a_job_goes_on_to_another():
    room = Room(2)

    room.idle.reserve()
    with room.changed:  # Both words are out before anybody can wake: each may reach either worker.
        room.idle.give("job")
        room.idle.nudge(1)

    assert sorted(room.all_left(), key=str) == [None, "job"]


def test_at_the_end_a_reserved_worker_still_gets_its_job_and_the_others_leave():
    room = Room(3)

    room.idle.reserve()
    room.close()
    until(lambda: len(room.left) == 2)
    assert not room.idle.reserve()
    room.idle.give("job")

    assert sorted(room.all_left(), key=str) == [None, None, "job"]


def test_a_job_is_owed_until_it_is_done():
    room = Room(1)

    room.idle.reserve()
    room.idle.give("job")
    room.all_left()

    assert room.idle.owed == 1
    room.idle.done()
    assert room.idle.owed == 0
