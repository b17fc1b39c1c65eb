"""Index kinds: Milvus' own names, and those of the default store that mean the same here."""

import re
from dataclasses import dataclass

from twopass.index.errors import InvalidSchemaError
from twopass.index.kinds import Breadth

DEFAULT = "AUTOINDEX"

# Each of Milvus' kinds for float vectors, and what the number behind a comma is.
_KINDS = {
    "AUTOINDEX": "",
    "FLAT": "",
    "HNSW": "M",
    "HNSW_SQ": "M",
    "HNSW_PQ": "M",
    "HNSW_PRQ": "M",
    "IVF_FLAT": "nlist",
    "IVF_SQ8": "nlist",
    "IVF_PQ": "nlist",
    "IVF_RABITQ": "nlist",
    "SCANN": "nlist",
    "DISKANN": "",
    "GPU_CAGRA": "",
    "GPU_BRUTE_FORCE": "",
    "GPU_IVF_FLAT": "nlist",
    "GPU_IVF_PQ": "nlist",
}
_FORM = re.compile(r"([A-Z0-9_]+?)(?:,([1-9][0-9]{0,5}))?")
_OF_DEFAULT_STORE = (
    (re.compile(r"Flat"), "FLAT"),
    (re.compile(r"HNSW([1-9][0-9]{0,2})"), r"HNSW,\1"),
    (re.compile(r"IVF([1-9][0-9]{0,4}),Flat"), r"IVF_FLAT,\1"),
)
_LINKS, _LISTS = 30, 1_024
_EF_CONSTRUCTION = 200
_DEFAULT_EF = 128
_DEFAULT_NPROBE_SHARE = 8


@dataclass(frozen=True, slots=True)
class MilvusIndexKind:
    """An index kind, understood.

    Attributes:
        name: Milvus' name of it.
        parameter: What its number is; "" where it has none.
        number: The number.
    """

    name: str
    parameter: str
    number: int

    @classmethod
    def parse(cls, given: str) -> "MilvusIndexKind":
        """Reads a schema's index kind.

        Raises:
            InvalidSchemaError: Milvus has no such kind.
        """
        form = given
        for pattern, replacement in _OF_DEFAULT_STORE:
            if match := pattern.fullmatch(given):
                form = match.expand(replacement)
        parsed = _FORM.fullmatch(form)
        if parsed is None or parsed[1] not in _KINDS or (parsed[2] and not _KINDS[parsed[1]]):
            raise InvalidSchemaError(
                "schema.index_kind",
                f"{given!r} is not supported by the store milvus; supported: {_forms()}; and Flat, "
                "HNSW<links> and IVF<lists>,Flat",
                value=given,
            )
        parameter = _KINDS[parsed[1]]
        default = _LINKS if parameter == "M" else _LISTS
        return cls(parsed[1], parameter, int(parsed[2] or default) if parameter else 0)

    @property
    def is_exact(self) -> bool:
        """Whether a search compares the query with every vector."""
        return self.name in ("FLAT", "GPU_BRUTE_FORCE")

    @property
    def build_parameters(self) -> dict[str, int]:
        """What Milvus is told when the index is made."""
        if not self.parameter:
            return {}
        more = {"efConstruction": _EF_CONSTRUCTION} if self.parameter == "M" else {}
        return {self.parameter: self.number, **more}

    def search_parameters(self, k: int, breadth: Breadth) -> dict[str, int]:
        """What Milvus is told of a search; a graph keeps at least k candidates."""
        if self.parameter == "M":
            return {"ef": max(breadth.ef_search or _DEFAULT_EF, k)}
        if self.parameter == "nlist":
            wanted = breadth.nprobe or -(-self.number // _DEFAULT_NPROBE_SHARE)
            return {"nprobe": min(wanted, self.number)}
        if self.name == "DISKANN":
            return {"search_list": max(breadth.ef_search or _DEFAULT_EF, k)}
        return {}


def _forms() -> str:
    return ", ".join(
        name + {"M": "[,links]", "nlist": "[,lists]", "": ""}[parameter]
        for name, parameter in _KINDS.items()
    )
