"""The page for people, from a real server."""

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
    types = {
        path: http.get(path).headers["content-type"].partition(";")[0]
        for path in ("/ui", "/ui/", "/ui/ui.css", "/ui/ui.js", "/ui/server.json")
    }
    assert types == {
        "/ui": "text/html",
        "/ui/": "text/html",
        "/ui/ui.css": "text/css",
        "/ui/ui.js": "text/javascript",
        "/ui/server.json": "application/json",
    }


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
