"""What a how-to tells its readers to write into files, for tests that send it as programs do."""

import json
from pathlib import Path
from typing import Any

from tests.docs.pages import blocks

_PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def settings(page: str, file: str) -> Any:
    """The JSON that a page has for a file, such as `rerank.json` of `elasticsearch`."""
    found = [block for block in blocks(_PAGES / f"{page}.md") if block.comments.get("file") == file]
    assert len(found) == 1, f"{page}.md has {len(found)} blocks for {file}"
    return json.loads(found[0].code)
