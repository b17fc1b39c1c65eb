"""What the models read of documents and queries, and the bounds on texts that come in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from twopass._core import Texts
from twopass.engines.base.model import LoadedModel
from twopass.engines.base.sequences import Side
from twopass.index.arrays import Int64s
from twopass.index.documents import StoredDocument
from twopass.server.errors import InvalidRequestError


class Truncation(Enum):
    """What happens to a passage that is too long for the model beside the query."""

    TRUNCATE = "truncate"
    MAX_WINDOW = "max_window"
    REJECT = "reject"


class Overlong(Enum):
    """What becomes of a text that has more tokens than the model reads."""

    CUT = "cut"
    """A side of it is not read, and the answer says so."""
    REFUSE = "refuse"
    """The request is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """What becomes of texts that are too long, and how.

    Attributes:
        overlong: Whether they are cut.
        side: Where they are cut.
        max_tokens: Most tokens of a text that are to be read, without special ones; 0 for as many
            as the model reads.
        to_cut: How a request says that they are to be cut, for messages; "" where it can't.
    """

    overlong: Overlong = Overlong.CUT
    side: Side = Side.END
    max_tokens: int = 0
    to_cut: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on requests; the fields of `ServerConfig` of the same names explain them."""

    max_candidates: int
    max_documents: int
    max_passage_bytes: int
    max_query_bytes: int
    max_message_bytes: int = 64 * 1024 * 1024
    max_answer_bytes: int = 4 * 1024 * 1024


def passage_of(title: str | None, text: str | None) -> str:
    """Title and text with a space between, as the models read them."""
    return f"{title} {text}".strip() if title else text or ""


def texts_of(documents: Mapping[int, StoredDocument], keys: Int64s) -> list[str]:
    """Passages in the order of `keys`; "" for a document that no longer exists."""
    return [
        passage_of(documents[key].title, documents[key].text) if key in documents else ""
        for key in keys.tolist()
    ]


def num_chars(texts: Sequence[str]) -> list[int]:
    """The length of each text, in characters; of a message's `Texts` without making strings."""
    return texts.num_chars.tolist() if isinstance(texts, Texts) else list(map(len, texts))


def check_text(field: str, text: str, max_bytes: int) -> None:
    """Refuses text that is too long or holds a NUL.

    Args:
        field: The text's path in the request, for the error message.
        text: Any Unicode.
        max_bytes: The limit in bytes of UTF-8.

    Raises:
        InvalidRequestError: Names the field, the limit and the size given.
    """
    if problem := problem_of(text, max_bytes):
        raise InvalidRequestError(f"{field}: {problem}")


def problem_of(text: str, max_bytes: int) -> str:
    """Why `check_text` would refuse a text; empty if it would not."""
    # No character takes more than 4 bytes: most texts need not be encoded to be measured.
    if len(text) * 4 > max_bytes and (size := len(text.encode())) > max_bytes:
        return f"{size:,} bytes of UTF-8 given, at most {max_bytes:,}; shorten it"
    if (position := text.find("\0")) >= 0:
        return f"a NUL at character {position:,}; send text, not binary content"
    return ""


def check_instruction(field: str, instruction: str, model: LoadedModel, taken: bool) -> None:
    """Refuses an instruction for a model that takes none.

    Args:
        field: Its path in the request, for the error message.
        instruction: The text; "" where the request gives none.
        model: The model.
        taken: Whether the model takes one.

    Raises:
        InvalidRequestError: The model takes none.
    """
    if instruction and not taken:
        raise InvalidRequestError(
            f"{field}: given, but {model.spec.id} takes no instruction; leave it empty, or name a "
            "model that does"
        )


def check_count(field: str, count: int, limit: int, advice: str) -> None:
    """Refuses an empty list, or one that is too long.

    Raises:
        InvalidRequestError: Names the field, the limit, the number given and the way out.
    """
    if count < 1:
        raise InvalidRequestError(
            f"{field}: {count or 'none'} given, at least 1 is needed", limit=1, value=count
        )
    if count > limit:
        raise InvalidRequestError(
            f"{field}: {count:,} given, at most {limit:,}; {advice}", limit=limit, value=count
        )
