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
        (entry(name="two words"), r"keys\.toml, line 2: key 1: name: 'two words' given; 1 to 64"),
        (entry(sha256="abc"), r"line 3: key 'web': sha256: 64 hexadecimal digits, .*, are needed"),
        (entry(max_calls=-1), r"line 4: key 'web': max_calls: -1 given; a whole number of at leas"),
        (entry(secret="x"), "line 4: key 'web': secret: there is no such field; there are name,"),
        (entry(rol="reader"), "line 4: key 'web': rol: there is no such field; role may be meant"),
        (entry(role="owner"), "'web': role: 'owner' given; one of reader, writer, admin is needed"),
        (entry() + '[[keys]]\nname = "b"\n', "key 'b': sha256: it is missing; 64 hexadecimal"),
        ('keys = [{name = "b", sha256 = "c"}]', r"keys\.toml: key 'b': sha256: 64"),
        ("# keys\n[[key]]\n", r"keys\.toml: key: a file of keys holds tables that begin with"),
        ("[[keys]]\nname: b", r"keys\.toml: it is not TOML: .*line 2"),
        (entry() + entry(), "the name 'web' is there twice"),
        ("[[keys", "keys.toml"),
        ("keys = 3", "keys"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_without_its_hashes(file, text, message):
    with pytest.raises(KeysError, match=message) as raised:
        read_keys(file(text))
    assert HASH not in str(raised.value)
