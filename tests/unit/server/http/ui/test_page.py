"""The endpoints of the page for people."""

import posixpath
import re
from graphlib import TopologicalSorter

import pytest

from twopass.server.edge.permissions import PERMISSIONS, Permission
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.routes import Routes
from twopass.server.http.rpcs.failures import RPC_DIALECT
from twopass.server.http.ui.page import Surroundings, _version_of, endpoints
from twopass.server.request import Request


@pytest.fixture
def page() -> dict[str, Endpoint]:
    return {
        endpoint.path: endpoint
        for endpoint in endpoints(lambda: Surroundings(grpc_port=50051, needs_key=True))
    }


async def answer_of(endpoint: Endpoint) -> Answer:
    return await endpoint.answer(HttpRequest(method="GET", path=endpoint.path), Request())


@pytest.fixture
async def modules(page) -> dict[str, str]:
    """The page's modules, by path."""
    paths = [path for path in page if path.endswith(".js")]
    return {path: (await answer_of(page[path])).body.decode() for path in paths}


def imports_of(path: str, module: str) -> set[str]:
    """The paths that a module imports from."""
    found = re.findall(r'^import [^"]*"([^"]+)";$', module, re.MULTILINE)
    return {posixpath.normpath(posixpath.join(posixpath.dirname(path), each)) for each in found}


async def test_all_of_the_page_opens_without_a_key(page):
    assert {endpoint.name for endpoint in page.values()} == {"http.ui"}
    assert PERMISSIONS["http.ui"] is Permission.OPEN


async def test_nothing_of_the_page_counts_against_quotas_or_is_there_below_a_model(page):
    assert not any(endpoint.counts or endpoint.below_models for endpoint in page.values())


async def test_the_policy_allows_this_server_alone_and_nothing_inline(page):
    for path in sorted(page.keys() - {"/"}):
        policy = dict((await answer_of(page[path])).headers)["content-security-policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["default-src"] == "'none'"
        assert {directives[name] for name in ("script-src", "style-src", "connect-src")} == {
            "'self'"
        }
        assert {directives[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {
            "'none'"
        }
        assert "unsafe" not in policy


async def test_the_page_is_asked_for_again_and_what_it_loads_is_kept(page):
    for path in sorted(page.keys() - {"/"}):
        kept = dict((await answer_of(page[path])).headers)["cache-control"]
        changes = path in ("/ui", "/ui/server.json")
        assert kept == ("no-cache" if changes else "public, max-age=31536000, immutable"), path


def test_what_is_kept_has_another_path_once_anything_of_it_changed():
    assets = {"a.js": b"1", "b.js": b"2"}
    versions = {
        _version_of(each)
        for each in (assets, {**assets, "b.js": b"3"}, {"a.js": b"1"}, {"a.js": b"1b.js 1 2"})
    }
    assert len(versions) == 4
    assert _version_of(dict(assets)) in versions


async def test_the_page_fetches_all_its_modules_at_once_and_none_that_is_not_used(page, modules):
    html = (await answer_of(page["/ui"])).body.decode()
    (entry,) = re.findall(r'<script type="module" src="([^"]+)"></script>', html)
    used = set()
    found = {entry}
    while found:
        path = found.pop()
        used.add(path)
        found |= imports_of(path, modules[path]) - used
    assert used == set(modules)
    assert set(re.findall(r'<link rel="modulepreload" href="([^"]+)">', html)) == used


async def test_no_module_of_the_page_needs_itself(modules):
    TopologicalSorter({path: imports_of(path, text) for path, text in modules.items()}).prepare()


async def test_the_page_has_nothing_that_its_policy_forbids(page):
    html = (await answer_of(page["/ui"])).body.decode()
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=|https?://", html)
    for loaded in re.findall(r'(?:src|href)="(/[^"]*)"', html):
        assert loaded in page or loaded in ("/docs", "/openapi.json"), loaded


async def test_no_script_of_the_page_makes_markup_of_text(modules):
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\("
    assert not [path for path, text in modules.items() if re.search(markup, text)]


async def test_what_the_page_writes_for_grpc_has_the_port_that_is_listened_on(page):
    told = await answer_of(page["/ui/server.json"])
    assert told.body == b'{"grpc_port":50051,"needs_key":true}'


async def test_a_browser_that_asks_for_the_root_is_sent_to_the_page_and_nobody_else(page):
    async def answer(asked: HttpRequest, request: Request) -> Answer:
        return Answer()

    health = Endpoint(name="tei.health", method="GET", path="/", answer=answer, dialect=RPC_DIALECT)
    routes = Routes([health, *page.values()])
    assert routes.find("GET", "/").endpoint is health
    assert routes.find("HEAD", "/", is_browser=True).endpoint is page["/"]
    sent = await answer_of(page["/"])
    assert (sent.status, dict(sent.headers)["location"]) == (302, "/ui")
