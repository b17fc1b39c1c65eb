"""What may happen to derived files while no server runs: damage, loss, another analysis."""

import json
import random
from pathlib import Path

_DOCUMENTS = "documents.sqlite"
_WORDS_HEADER = "words-*/header.json"
_SHARE_DAMAGED = _SHARE_OUTDATED = 0.1


def meddle(collections: Path, drawn: random.Random) -> str:
    """Does to a derived file what a bad disk, a hand or another version might; usually nothing.

    Args:
        collections: The folder of the folders of collections.
        drawn: Decides.

    Returns:
        What was done, in words; "" for nothing.
    """
    choice = drawn.random()
    if choice < _SHARE_DAMAGED:
        return _damage(collections, drawn)
    if choice < _SHARE_DAMAGED + _SHARE_OUTDATED:
        return _outdate(collections, drawn)
    return ""


def _damage(collections: Path, drawn: random.Random) -> str:
    files = sorted(
        path
        for path in collections.rglob("*")
        if path.is_file() and not path.name.startswith(_DOCUMENTS)
    )
    if not files:
        return ""
    file = drawn.choice(files)
    content = bytearray(file.read_bytes())
    where = drawn.randrange(len(content)) if content else 0
    match drawn.choice(("cut off", "altered", "lost") if content else ("lost",)):
        case "cut off" as what:
            file.write_bytes(content[:where])
        case "altered" as what:
            content[where] ^= 1 << drawn.randrange(8)
            file.write_bytes(content)
        case _ as what:
            file.unlink()
    return f"{file.relative_to(collections)} was {what}"


def _outdate(collections: Path, drawn: random.Random) -> str:
    """Makes a collection's words those of another analysis, so that they are indexed anew."""
    headers = sorted(collections.glob(f"*/{_WORDS_HEADER}"))
    if not headers:
        return ""
    header = drawn.choice(headers)
    try:
        content = json.loads(header.read_bytes())
        content["analysis"] = f"not {content['analysis']}"
    except (ValueError, KeyError):
        return ""  # it was damaged before
    header.write_text(json.dumps(content), encoding="utf-8")
    return f"{header.relative_to(collections)} was made one of another analysis"
