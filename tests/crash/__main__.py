"""`make crash`: kills a server at random moments, and looks at what is left.

A real server over a real socket, several clients that write, delete and search at once, SIGKILL at
a random moment of its start, of its work, or while it writes what it derives from the documents,
now and then a derived file that is damaged meanwhile, and after each restart an examination of
everything. Then strace watches whether a write is acknowledged before the fsync that covers it.
With `--store postgres`, two servers share a PostgreSQL, and any of the three are killed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .fsync_order import check_fsync_order
from .shared_store import SharedStoreTester
from .system_calls import why_not
from .tester import Tester


def main() -> int:
    """Runs both tests; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often the server is killed")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="of the moments")
    parser.add_argument("--life", type=float, default=1.0, help="longest life in seconds")
    parser.add_argument("--store", choices=("folder", "postgres"), default="folder")
    options = parser.parse_args()
    print(f"{options.kills} kills, seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="twopass-crash-"))
    made = Tester if options.store == "folder" else SharedStoreTester
    tester = made(folder, options.seed, options.life)
    for _ in range(options.kills):
        tester.live_and_die()
    tester.finish()
    print(tester.summary(), flush=True)
    if tester.num_problems:
        print(f"the data folder and the server's log are left in {folder}")
    else:
        shutil.rmtree(folder)
    if options.store != "folder":
        return 1 if tester.num_problems else 0
    return 1 if tester.num_problems + _check_fsync_order() else 0


def _check_fsync_order() -> int:
    """Prints what strace saw; returns how many acknowledgements came too early."""
    if reason := why_not():
        print(f"fsync before acknowledgement: not checked, {reason}")
        return 0
    with tempfile.TemporaryDirectory(prefix="twopass-fsync-") as folder:
        order = check_fsync_order(Path(folder))
    for problem in order.problems:
        print(problem)
    print(
        f"fsync before acknowledgement: {order.num_writes} writes, {order.num_fsyncs} fsyncs of "
        f"the log, {len(order.problems)} acknowledged too early"
    )
    return len(order.problems)


if __name__ == "__main__":
    sys.exit(main())
