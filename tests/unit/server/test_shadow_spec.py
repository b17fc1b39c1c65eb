import pytest

from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config, to_toml
from twopass.server.shadow_spec import ShadowSpec, parse_shadow


def test_a_shadow_is_read_from_one_text():
    text = "six=reranker:twopass-minilm-l6,depth:20,blend:0.3,share:0.1,collections:docs*"
    assert parse_shadow(text) == ShadowSpec(
        name="six",
        reranker="twopass-minilm-l6",
        depth=20,
        blend=0.3,
        share=0.1,
        collections="docs*",
    )


def test_what_is_left_out_is_as_in_every_search():
    shadow = parse_shadow("plain=blend:0")
    assert shadow == ShadowSpec(name="plain", blend=0.0)
    assert (shadow.share, shadow.depth, shadow.reranker) == (0.05, 0, "")
    assert shadow.covers("anything")
    assert parse_shadow("a=depth:5,collections:docs*").covers("docs-1")
    assert not parse_shadow("a=depth:5,collections:docs*").covers("other")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("six", "a shadow is as in"),
        ("six=", "a shadow is as in"),
        ("Six=depth:2", "'Six' is no name of a shadow"),
        ("six=deep:2", "'deep:2' given; once each of reranker, depth"),
        ("six=depth:2,depth:3", "'depth:3' given; once each"),
        ("six=share:0.5", "the same as every search"),
        ("six=depth:0", "depth: 0 given, 1 to 2,048 is needed"),
        ("six=depth:1.5", "depth: 1.5 given"),
        ("six=blend:2", "blend: 2 given, 0 to 1 is needed"),
        ("six=blend:nan", "blend: nan given"),
        ("six=depth:2,share:0", "share: 0 given, above 0, at most 1 is needed"),
        ("six=depth:2,share:x", "share: x given"),
    ],
)
def test_what_is_no_shadow_is_refused_with_what_is_wrong(text, said):
    with pytest.raises(ConfigError, match=r"--shadow.*") as raised:
        load_config({"shadow": [text]})
    assert said in str(raised.value)


def test_two_shadows_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="a: two shadows have this name"):
        load_config({"shadow": ["a=depth:2", "a=depth:3"]})


def test_tables_of_a_file_are_shadows_too(tmp_path):
    file = tmp_path / "twopass.toml"
    file.write_text(
        '[[shadow]]\nname = "six"\nreranker = "b"\nshare = 0.2\n[[shadow]]\nname = "c"\ndepth = 7\n'
    )
    config = load_config({}, file)
    assert config.shadow == ("six=reranker:b,share:0.2", "c=depth:7")
    file.write_text(to_toml(config))
    assert load_config({}, file).shadow == config.shadow
