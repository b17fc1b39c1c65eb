"""`make compat`: do the clients that people have get from a real server what they should?

Each client is installed in an environment of its own, at its newest version, and is asked the same
questions: which passages are best, what their embeddings are, and what becomes of a wrong key, an
unknown model, a used up quota, a full server, and texts that are too long. Order, scores and
embeddings must be those that gRPC gives for the same texts.

Prints a line for each client and exits with 1 if one got something wrong, or could not be
installed.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from twopass.evaluation.progress import progress_bars

from .catalogue import CLIENTS, Client
from .environments import Environments
from .report import head, legend, markdown, row
from .servers import running
from .trying import Trial, try_client

_AT_ONCE = 2


def main() -> int:
    """Tries the clients; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make compat", formatter_class=argparse.RawTextHelpFormatter, description=__doc__
    )
    parser.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="NAME",
        help="only clients whose name, dialect or environment contains this; may be repeated",
    )
    parser.add_argument("--ci", action="store_true", help="only one client of each dialect")
    parser.add_argument(
        "--upgrade", action="store_true", help="bring environments to the newest versions"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to a page")
    options = parser.parse_args()
    clients = [c for c in CLIENTS if _is_wanted(c, options.client) and (c.in_ci or not options.ci)]
    if not clients:
        parser.error(f"--client: none of {len(CLIENTS)} has this in its name or dialect")
    trials = asyncio.run(_try(clients, upgrade=options.upgrade))
    print(legend())
    failed = [trial.client.name for trial in trials if not trial.ok]
    print(f"{len(trials) - len(failed)} of {len(trials)} clients got what they should")
    if failed:
        print(f"wrong: {', '.join(failed)}; TWOPASS_COMPAT_TRACE=1 shows their tracebacks")
    if options.markdown:
        today = datetime.now(UTC).date()
        options.markdown.write_text(markdown(trials, today), encoding="utf-8")
    return 1 if failed else 0


def _is_wanted(client: Client, parts: Sequence[str]) -> bool:
    return not parts or any(
        part.lower() in text.lower()
        for part in parts
        for text in (client.name, client.dialect, client.home)
    )


async def _try(clients: Sequence[Client], *, upgrade: bool) -> list[Trial]:
    environments = Environments(upgrade=upgrade)
    places = asyncio.Semaphore(_AT_ONCE)
    trials: list[Trial] = []
    with running(clients) as servers, progress_bars() as progress:
        task = progress.add_task("clients", total=len(clients))
        print(head(), flush=True)

        async def try_in_turn(client: Client) -> None:
            async with places:
                trial = await try_client(client, environments, servers)
            trials.append(trial)
            progress.advance(task)
            print(row(trial), flush=True)

        await asyncio.gather(*map(try_in_turn, clients))
    return trials


if __name__ == "__main__":
    sys.exit(main())
