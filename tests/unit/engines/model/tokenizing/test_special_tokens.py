"""No text yields a special token, whatever the tokenizer; all other texts keep their ids."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer

from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.engines.model.tokenizing.settings import TokenizerSettings
from twopass.engines.model.tokenizing.special_tokens import special_tokens

from ...small_tokenizers import metaspace
from ...trained_tokenizers import KINDS, write

ODD_SPACES = [" ", "  ", "\u00a0", "\u2003", "\u3000", "\t", "\n", "\u200b", ""]
# What normalisers make other characters of: full width, capitals, accents.
DISGUISES = [
    str,
    str.upper,
    str.lower,
    str.title,
    lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    lambda text: "\u0301".join(text),
    lambda text: text.replace("s", "\u017f").replace("k", "\u212a"),
]


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    """A tokenizer, the library's, and the ids that no text may yield."""
    file = write(request.param, tmp_path_factory.mktemp(request.param) / "tokenizer.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    library = RustTokenizer.from_file(str(file))
    library.no_truncation()
    library.no_padding()
    library.encode_special_tokens = True
    special = special_tokens(content)
    return HuggingFaceTokenizer(file), library, special


@given(data=st.data())
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_a_text_that_spells_special_tokens_yields_none(made, data):
    tokenizer, library, special = made
    spelled = st.sampled_from(sorted(special)) if special else st.just("[SEP]")
    disguised = st.tuples(spelled, st.sampled_from(DISGUISES)).map(lambda pair: pair[1](pair[0]))
    other = st.sampled_from(["a", "How", "?", "<", ">", "[", "]", "/", "s", "\u4eac", "\U0001f642"])
    part = st.one_of(spelled, disguised, other, st.sampled_from(ODD_SPACES))
    text = "".join(data.draw(st.lists(part, min_size=1, max_size=8)))
    ids = tokenizer.encode([text], 1_000)[0].tolist()
    unknown = unknown_ids(library)
    forbidden = {library.token_to_id(token) for token in special} - unknown
    assert not forbidden & set(ids)


@given(
    text=st.text(
        st.sampled_from("abdehioqrsuwyHIQ .,:;?!'\n\t0124\u00e9\u4eac\u90fd\u3000\u0301")
        | st.characters(exclude_categories=["Cs"]),
        max_size=80,
    )
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_a_text_without_such_spellings_has_the_librarys_ids(made, text):
    tokenizer, library, special = made
    ids = library.encode(text, add_special_tokens=False).ids
    forbidden = {library.token_to_id(token) for token in special} - unknown_ids(library)
    if not forbidden & set(ids):
        assert tokenizer.encode([text], 1_000)[0].tolist() == ids


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_special_token_is_read_letter_by_letter(kind, tmp_path):
    tokenizer = HuggingFaceTokenizer(write(kind, tmp_path / "tokenizer.json"))
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    library = RustTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for token in special_tokens(content):
        ids = tokenizer.encode([token], 100)[0].tolist()
        if library.token_to_id(token) in unknown_ids(library):
            continue
        assert library.token_to_id(token) not in ids
        assert ids  # as text like any other


def test_other_tokens_keep_their_ids_where_a_merge_made_a_special_one(tmp_path):
    file = write("llama", tmp_path / "tokenizer.json")
    merges = json.loads(file.read_text(encoding="utf-8"))["model"]["merges"]
    assert any("".join(merge) == "</s>" for merge in merges), "or the case is not tested"
    library = RustTokenizer.from_file(str(file))
    ids = HuggingFaceTokenizer(file).encode(["a </s> b"], 100)[0].tolist()
    assert library.token_to_id("</s>") not in ids
    assert "".join(map(library.id_to_token, ids)) == "▁a▁</s>▁b"


def test_tokens_that_the_files_beside_it_name_are_special_too(tmp_path):
    file = metaspace(tmp_path / "tokenizer.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["vocab"].append(["<mask>", 0.0])
    file.write_text(json.dumps(content), encoding="utf-8")
    mask = len(content["model"]["vocab"]) - 1
    plain = HuggingFaceTokenizer(file)
    assert mask in plain.encode(["a <mask> b"], 9)[0]
    named = HuggingFaceTokenizer(file, TokenizerSettings(special_tokens=("<mask>",)))
    assert mask not in named.encode(["a <mask> b"], 20)[0]
    assert named.fingerprint != plain.fingerprint  # token ids of the one are not the other's


def unknown_ids(library) -> set[int]:
    """The id of what no vocabulary holds, which any text may yield."""
    model = json.loads(library.to_str())["model"]
    if model["type"] == "Unigram":
        return {model["unk_id"]} - {None}
    unknown = model.get("unk_token")
    return {model["vocab"][unknown]} if unknown in model["vocab"] else set()
