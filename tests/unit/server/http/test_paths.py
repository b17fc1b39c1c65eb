"""Which endpoint a method and a path mean, and what is told where there is none."""

import pytest

from .asked import ended


async def test_a_path_may_end_with_a_slash(client):
    assert (await client.post("/echo/", content=b"1")).status_code == 200


@pytest.mark.parametrize("model", ["m", "org/name", "a b", "models/m"])
async def test_a_path_below_a_model_names_the_model(client, asked, model):
    await client.post(f"/models/{model}/echo", content=b"1")
    await client.post(f"/models/{model}", content=b"1")
    assert [each.model for each in asked.requests] == [model, model]
    assert [each.path for each in asked.requests] == ["/echo", "/"]


async def test_variables_of_a_path_are_read(client, asked):
    await client.get("/things/a%2Fb/parts/%C3%A9?x=1&y=2")
    (request,) = asked.requests
    assert dict(request.variables) == {"thing": "a/b", "part": "é"}
    assert request.query == "x=1&y=2"


async def test_an_unknown_path_is_told_where_to_look(client, metrics):
    answer = await client.post("/nothing", content=b"1")
    assert answer.status_code == 404
    assert "/docs" in answer.json()["message"]
    assert ended(metrics, "INVALID_ARGUMENT", "http.unknown") == 1


@pytest.mark.parametrize(
    ("path", "extra"),
    [("/v1/echo", "/v1"), ("/echo/echo", "/echo"), ("/a" * 500 + "/echo", "/a" * 64)],
)
async def test_a_path_that_a_base_url_made_too_long_is_told_the_right_one(client, path, extra):
    answer = await client.post(path, content=b"1")
    assert answer.status_code == 404
    assert "there is /echo: the base URL" in answer.json()["message"]
    assert answer.json()["message"].endswith(f" {extra} too much")


@pytest.mark.parametrize("path", ["/v1/get", "/echo2", "/v1/echo/more"])
async def test_no_path_is_named_that_would_not_do(client, path):
    answer = await client.post(path, content=b"1")
    assert answer.json()["message"].endswith("; /docs lists what there is")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/echo", "POST"), ("DELETE", "/things/a/parts/b", "GET")],
)
async def test_a_wrong_method_is_told_the_right_ones(client, method, path, allowed):
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_head_has_the_headers_alone(client, asked):
    asked.body = b"four"
    answer = await client.head("/get", timeout=5)
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "4", b"")
    assert (await client.get("/get")).content == b"four"


@pytest.mark.parametrize("path", ["/x" * 1_100, "/models" + "/%41" * 600])
async def test_a_path_that_no_endpoint_can_have_is_refused_unread(client, path):
    answer = await client.post(path, content=b"1")
    assert answer.status_code == 414
    assert "at most 2,048" in answer.text


async def test_an_id_of_more_slashes_than_any_model_has_is_none(client):
    answer = await client.post("/models" + "/a" * 20 + "/echo", content=b"1")
    assert answer.status_code == 404


async def test_the_body_chooses_among_dialects(client, metrics):
    assert (await client.post("/", content=b"1")).status_code == 200
    assert ended(metrics, "OK", "test.echo") == 1
    assert (await client.post("/")).status_code == 400
    assert ended(metrics, "INVALID_ARGUMENT", "test.shared") == 1
