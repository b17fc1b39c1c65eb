"""Special tokens that no text can spell, whatever the tokenizer makes of texts.

The library leaves special tokens out where it looks for added tokens in a text. But they are
entries of the vocabulary too, and a model finds them there: a Unigram model reads "</s>" as one
piece wherever a text, normalised, holds these letters.
"""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any


def special_tokens(content: Mapping[str, Any]) -> frozenset[str]:
    """The special tokens of a `tokenizer.json`: marked as such, put around texts, or unknown."""
    model, around = content["model"], content.get("post_processor")
    found = {token["content"] for token in content.get("added_tokens") or () if token["special"]}
    found.update(_around(around) if around else ())
    if isinstance(unknown := model.get("unk_token"), str):
        found.add(unknown)
    if model.get("type") == "Unigram" and model.get("unk_id") is not None:
        found.add(model["vocab"][model["unk_id"]][0])
    return frozenset(found)


def without_spelling(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same tokenizer, whose special tokens have names that no text spells; ids stay.

    Each special token is called by 128 random bits, drawn anew at every start, in the vocabulary
    and among the added tokens alike. Merges that make one, or take part in it, are left out: those
    of other tokens keep their order. A text without such spellings has the ids it had.
    """
    special = special_tokens(content)
    if not special:
        return dict(content)
    names = {token: secrets.token_hex(16) for token in special}
    model = dict(content["model"])
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # Unigram: pieces and their scores, by id
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in vocabulary]
    else:
        model["vocab"] = {names.get(piece, piece): id_ for piece, id_ in vocabulary.items()}
    if isinstance(unknown := model.get("unk_token"), str):
        model["unk_token"] = names[unknown]
    if model.get("merges"):
        prefix = model.get("continuing_subword_prefix") or ""
        model["merges"] = [
            merge for merge in model["merges"] if special.isdisjoint(_parts(merge, prefix))
        ]
    added = [
        {**token, "content": names.get(token["content"], token["content"])}
        for token in content.get("added_tokens") or ()
    ]
    return {**content, "model": model, "added_tokens": added}


def _parts(merge: str | list[str], prefix: str) -> tuple[str, str, str]:
    """Both tokens of a merge, and the one that they make."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right.removeprefix(prefix)


def _around(post_processor: Mapping[str, Any]) -> Iterator[str]:
    """The tokens that a post-processor puts around texts."""
    match post_processor.get("type"):
        case "TemplateProcessing":
            for token in post_processor["special_tokens"].values():
                yield from token["tokens"]
        case "BertProcessing" | "RobertaProcessing":
            yield post_processor["cls"][0]
            yield post_processor["sep"][0]
        case "Sequence":
            for each in post_processor["processors"]:
                yield from _around(each)
