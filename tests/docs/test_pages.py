"""How a page says what is to be tried, and what becomes of one that does not say it."""

import textwrap

import pytest

from .pages import PageError, blocks, fault
from .running import run


@pytest.fixture
def page(tmp_path):
    def written(text: str):
        path = tmp_path / "page.md"
        path.write_text(textwrap.dedent(text))
        return path

    return written


def test_comments_above_a_fence_belong_to_its_block(page):
    (block,) = blocks(
        page("<!-- needs: go protoc -->\n<!-- session: b -->\n\n```sh\nprotoc\n```\n")
    )
    assert (block.line, block.language, block.code) == (4, "sh", "protoc\n")
    assert (block.comments["needs"], block.session) == ("go protoc", "b")


def test_a_sentence_parts_a_comment_from_a_block_below_it(page):
    (block,) = blocks(page("<!-- not run: needs a GPU -->\nNow:\n```sh\ntrue\n```\n"))
    assert block.is_run


def test_a_block_in_a_list_is_read_without_its_indentation(page):
    (block,) = blocks(page("1. First\n\n    ```python\n    if 1:\n        pass\n    ```\n"))
    assert block.code == "if 1:\n    pass\n"


def test_targets_of_the_makefile_are_looked_up_and_not_run(page):
    (block,) = blocks(page("```sh\nmake demo    # here\n# or\nmake test\n```\n"))
    assert not block.is_run
    assert not fault(block)


@pytest.mark.parametrize(
    "reason",
    ["needs a GPU", "needs another program: Open WebUI", "a fragment", "run by `make compat`"],
)
def test_reasons_are_few(page, reason):
    (block,) = blocks(page(f"<!-- not run: {reason} -->\n```sh\ntrue\n```\n"))
    assert not block.is_run
    assert not fault(block)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```\ntrue\n```\n", "say a language"),
        ("```go\nx := 1\n```\n", "no test runs go"),
        ("<!-- not run: takes effort -->\n```sh\ntrue\n```\n", "is no reason"),
        ("<!-- not run -->\n```sh\ntrue\n```\n", "is no reason"),
    ],
)
def test_what_says_too_little_is_told(page, text, said):
    (block,) = blocks(page(text))
    assert said in fault(block)


def test_a_block_without_an_end_is_told(page):
    with pytest.raises(PageError, match=r"page\.md:2: this block is never closed"):
        blocks(page("\n```sh\ntrue\n"))


def test_blocks_share_a_folder_a_shell_and_a_namespace(page, tmp_path):
    read = blocks(
        page(
            """
            <!-- setup
            export GREETING=hello
            -->

            ```sh
            name=world
            cd "$(mktemp -d -p .)"
            ```

            <!-- file: there/list.json -->
            ```json
            [1, 2]
            ```

            ```sh
            echo "$GREETING $name" > greeting
            test -f ../there/list.json
            ```

            ```python
            import asyncio, pathlib
            (found,) = pathlib.Path().glob("*/greeting")
            await asyncio.sleep(0)
            ```

            ```python
            print(found.read_text())
            ```

            <!-- check
            grep -q "^hello world$" "$OUTPUT"
            -->
            """
        )
    )
    assert run(read, tmp_path) is None


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("```sh\necho before\nfalse\necho after\n```\n", "exit status 1"),
        ("```sh\necho before\necho $UNSET_ONE\n```\n", "exit status 1"),
        ("```python\nprint('before')\nraise ValueError('no')\n```\n", "ValueError('no')"),
        ("```sh\necho before\n```\n<!-- check\ngrep after $OUTPUT\n-->\n", "exit status 1"),
    ],
)
def test_a_block_that_fails_is_told_with_what_it_printed(page, tmp_path, block, said):
    failure = run(blocks(page(block)), tmp_path)
    assert failure is not None
    assert failure.wrong == said
    assert ("before" in failure.output) == ("check" not in block)
    assert "after" not in failure.output


def test_a_proxy_of_this_machine_is_not_asked_for_its_own_servers(page, tmp_path, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "grpc_proxy", "no_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    read = blocks(page("```sh\n! env | grep -i '^[a-z]*_proxy=' | grep -v '^NO_PROXY=[*]$'\n```\n"))
    assert run(read, tmp_path) is None
