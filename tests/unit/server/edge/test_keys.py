import hashlib
from pathlib import Path

import pytest

from twopass.server.edge.keys import KeyRing, KeysError, make_key, read_keys

HASH = "a" * 64


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "keys.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def entry(**fields: object) -> str:
    given = {"name": "web", "sha256": HASH} | fields
    lines = (f"{name} = {value!r}".replace("'", '"') for name, value in given.items())
    return "\n".join(("[[keys]]", *lines, ""))


def test_every_key_is_another_and_only_its_hash_finds_it(file):
    made = make_key()
    assert made.secret != make_key().secret
    assert made.sha256 == hashlib.sha256(made.secret.encode()).hexdigest()
    ring = KeyRing(file(entry(sha256=made.sha256)))
    found = ring.find(made.secret)
    assert found is not None
    assert found.name == "web"
    for wrong in ("", made.secret[:-1], made.secret + "x", made.sha256, "ключ"):
        assert ring.find(wrong) is None


def test_no_key_at_all_lets_nobody_in(file):
    assert KeyRing(file("")).find("anything") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (entry(name="two words"), "keys.0.name"),
        (entry(sha256="abc"), "keys.0.sha256"),
        (entry(max_calls=-1), "keys.0.max_calls"),
        (entry(secret="x"), "keys.0.secret"),
        (entry() + entry(), "the name 'web' is there twice"),
        ("[[keys", "keys.toml"),
        ("keys = 3", "keys"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_without_its_hashes(file, text, message):
    with pytest.raises(KeysError, match=message) as raised:
        read_keys(file(text))
    assert HASH not in str(raised.value)
