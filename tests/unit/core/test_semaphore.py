"""What threads wait on for their next call, counted as a plain counter would."""

import sys
import threading

from twopass._core import Semaphore

# Waiting for it is only ever cut short where something is lost.
LONG = 60.0


def test_what_was_released_before_is_taken_without_waiting():
    semaphore = Semaphore()
    for _ in range(3):
        semaphore.release()
    for _ in range(3):
        semaphore.acquire()


def test_whoever_waits_holds_no_lock_of_the_interpreters():
    semaphore, ended = Semaphore(), threading.Event()

    def wait() -> None:
        semaphore.acquire()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not ended.wait(0.05)  # this thread goes on meanwhile
    semaphore.release()
    assert ended.wait(LONG)


def test_each_release_lets_one_thread_take_and_none_is_lost():
    semaphore, releasing, taking, rounds = Semaphore(), 3, 4, 1_200
    taken: list[int] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change wherever they can

    def take() -> None:
        for _ in range(releasing * rounds // taking):
            semaphore.acquire()
            taken.append(1)

    def release() -> None:
        for _ in range(rounds):
            semaphore.release()

    threads = [
        threading.Thread(target=work, daemon=True)
        for work in [take] * taking + [release] * releasing
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads)
    assert len(taken) == releasing * rounds
