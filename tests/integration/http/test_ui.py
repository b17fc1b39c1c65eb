"""The page for people, from a real server."""

import re

import httpx

from ..serving import Server

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_a_browser_that_asks_for_the_root_comes_to_the_page(http: httpx.Client) -> None:
    page = http.get("/", headers=BROWSER, follow_redirects=True)
    assert page.url.path == "/ui"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<main" in page.text


def test_a_client_of_tei_that_asks_for_the_root_gets_health(http: httpx.Client) -> None:
    answer = http.get("/")
    assert (answer.status_code, answer.text) == (200, "")


def test_every_file_of_the_page_is_there_with_its_type(http: httpx.Client) -> None:
    html = http.get("/ui").text
    assert http.get("/ui/").text == html
    loaded = re.findall(r'(?:src|href)="(/ui/[^"]+)"', html)
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    for path in loaded:
        answer = http.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == types[path.rpartition(".")[2]], path
    assert {path.rpartition(".")[2] for path in loaded} == set(types)
    assert http.get("/ui/server.json").headers["content-type"] == "application/json"


def test_a_file_of_the_page_that_is_not_this_versions_is_not_found(http: httpx.Client) -> None:
    for path in ("/ui/000000000000/ui.js", "/ui/assets/ui.js", "/ui/ui.html"):
        assert http.get(path).status_code == 404, path


def test_the_page_learns_where_grpc_listens(http_server: Server, http: httpx.Client) -> None:
    told = http.get("/ui/server.json").json()
    assert told == {"grpc_port": int(http_server.target.rpartition(":")[2]), "needs_key": False}


def test_the_page_needs_no_key_where_health_needs_one(tmp_path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[[keys]]\nname = "a"\nsha256 = "' + "0" * 64 + '"\n')
    with (
        Server(
            tmp_path / "data", keys=str(keys), open_health=False, http_address="127.0.0.1:0"
        ) as server,
        httpx.Client(base_url=server.http_url) as client,
    ):
        assert client.get("/ui/server.json").json()["needs_key"] is True
        assert client.get("/", headers=BROWSER, follow_redirects=True).status_code == 200
        assert client.get("/").status_code == 401
        assert client.get("/api/v1/collections").status_code == 401
