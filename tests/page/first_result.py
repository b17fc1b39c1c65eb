"""How much later the page shows the first result than the rpc answers: `make first-result`.

Each question goes over gRPC first, from a client in a process of its own, and then through the
page; both ask for all 50 candidates. The page's time runs from the key press until the cards stand.
The answers to a question differ by what the page adds: HTTP, JSON, and drawing.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import IO

from playwright.sync_api import Page, sync_playwright

from .browsing import launch, visiting
from .pictures import COLLECTION, fill
from .serving import ServedPage

_QUESTIONS = (
    "How do I parse a date from a string?",
    "How can I run a shell command and get its output?",
    "Which class counts how often each element occurs?",
    "How do I generate a secure random token for a password reset?",
    "How do I measure the execution time of a small piece of code?",
    "Wait until several threads have reached the same point",
)
_ROUNDS = 6
_CLIENT = f"""
import sys, time
from twopass.client import Client
with Client(sys.argv[1]) as client:
    for question in sys.stdin:
        began = time.perf_counter()
        client.search({COLLECTION!r}, question.strip(), top_n=50)
        print(1000 * (time.perf_counter() - began), flush=True)
"""
_PAGE_TOOK = """() => {
  const at = (name) => performance.getEntriesByName(name).at(-1).startTime;
  return [at("search-shown") - at("search-asked"), at("search-shown") - at("search-answered")];
}"""


def main(data: str) -> None:
    """Prints the medians.

    Args:
        data: Folder of the server's collections; filled where it is empty.
    """
    took: list[tuple[float, float, float]] = []
    with ServedPage(Path(data)) as server, sync_playwright() as playwright:
        fill(server)
        client = subprocess.Popen(
            [os.environ["TWOPASS_PYTHON"], "-c", _CLIENT, server.target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdin is not None
        assert client.stdout is not None
        with client, visiting(launch(playwright), server.url) as page:
            page.get_by_label("Collection", exact=True).select_option(COLLECTION)
            for turn in range(_ROUNDS + 1):
                for question in _QUESTIONS:
                    rpc = _over_grpc(client.stdin, client.stdout, question)
                    shown, drawn = _through_page(page, question)
                    if turn:  # the first round warms caches
                        took.append((rpc, shown, drawn))
            client.stdin.close()
    rpc, shown, drawn = map(statistics.median, zip(*took, strict=True))
    later = statistics.quantiles([page - rpc for rpc, page, _ in took], n=4)
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "searches": len(took)}))
    print(f"rpc {rpc:.0f} ms, page {shown:.0f} ms, of which drawing {drawn:.0f} ms (medians)")
    print(f"the page is later by {later[1]:.0f} ms (quartiles {later[0]:.0f} to {later[2]:.0f})")


def _over_grpc(questions: IO[str], times: IO[str], question: str) -> float:
    questions.write(f"{question}\n")
    questions.flush()
    return float(times.readline())


def _through_page(page: Page, question: str) -> tuple[float, float]:
    page.evaluate("() => performance.clearMarks()")
    query = page.get_by_role("searchbox", name="Query")
    query.fill(question)
    query.press("Enter")
    page.wait_for_function("() => performance.getEntriesByName('search-shown').length > 0")
    shown, drawn = page.evaluate(_PAGE_TOOK)
    return shown, drawn


if __name__ == "__main__":
    main(*sys.argv[1:])
