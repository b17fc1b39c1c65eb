"""docs/http.md names every path of REST."""

import json
import re

from .pages import ROOT

_RULES = ROOT / "server/http/rpcs/http_rules.json"
_METHODS = ("get", "put", "post", "delete", "patch")


def paths() -> set[str]:
    """The paths of the rules, below /api/v1."""
    rules = json.loads(_RULES.read_text("utf-8"))["http"]["rules"]
    bound = [one for rule in rules for one in (rule, *rule.get("additional_bindings", ()))]
    found = {one[method] for one in bound for method in _METHODS if method in one}
    return {re.sub(r"=\*+}", "}", path.removeprefix("/api/v1")) for path in found}


def documented() -> set[str]:
    """The paths of the page's table; "…/more" follows the path before it, or that one's folder."""
    page = (ROOT / "docs/http.md").read_text("utf-8")
    _, _, table = page.partition("| path below `/api/v1` |")
    found: set[str] = set()
    for row in table.partition("\n\n")[0].splitlines():
        first = ""
        for path in re.findall(r"`([/…][^`]*)`", row.split("|")[1] if "|" in row else ""):
            if path.startswith("…"):
                found |= {first + path[1:], first.rpartition("/")[0] + path[1:]}
            else:
                found.add(path)
                first = path
    return found


def test_every_path_of_rest_is_in_the_table():
    assert len(paths()) > 20
    assert not paths() - documented()
