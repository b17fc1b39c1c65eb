"""How long after its rpc has answered the page shows a search's first result.

Run against a server with a collection, in the environment of `make page`:
`python -m tests.page.first_result http://127.0.0.1:8080 python-docs "How do I parse a date?"`.
"""

import statistics
import sys
from collections.abc import Sequence

from playwright.sync_api import Page, sync_playwright

from .browsing import launch

ROUNDS = 30

# From the answer's last byte to the frame that has the hits: two frames after they were placed, the
# first has been painted.
_SHOWN = """async (query) => {
  const isShown = new Promise((resolve) => {
    new MutationObserver((_, observer) => {
      observer.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
    }).observe(document.getElementById("second-hits"), { childList: true });
  });
  performance.clearResourceTimings();
  document.getElementById("query").value = query;
  document.getElementById("search-form").requestSubmit();
  const shown = await isShown;
  const calls = performance.getEntriesByType("resource");
  const call = calls.find((each) => each.name.endsWith("/search"));
  return [call.responseEnd - call.startTime, shown - call.responseEnd];
}"""


def measured(page: Page, queries: Sequence[str]) -> list[tuple[float, float]]:
    """Milliseconds of the rpc, and from its answer to the painted hits, of each query."""
    return [tuple(page.evaluate(_SHOWN, query)) for query in queries]


def main(url: str, collection: str, query: str) -> None:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1_600, "height": 1_000})
        page.goto(f"{url}/ui#search?collection={collection}")
        page.wait_for_load_state("networkidle")
        queries = [f"{query} {number}" for number in range(ROUNDS + 3)]
        found = measured(page, queries)[3:]  # the first few compile the script
        browser.close()
    rpc, after = (sorted(each) for each in zip(*found, strict=True))
    print(f"{ROUNDS} searches of {collection} at {url}, in Chromium at 1,600 pixels")
    print(f"rpc, ms: median {statistics.median(rpc):.0f}, most {rpc[-1]:.0f}")
    print(
        f"answer to painted hits, ms: median {statistics.median(after):.0f}, most {after[-1]:.0f}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
