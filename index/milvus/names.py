"""Names of collections and aliases in Milvus.

Milvus' names hold letters, digits and "_" alone, and begin with a letter. Ours hold small letters,
digits, "_" and "-". So a hyphen is written as `H`, and all begin with `twopass_`, which keeps them
apart from what else is in the database.
"""

PREFIX = "twopass_"
_HYPHEN = "H"


def name_in_milvus(name: str) -> str:
    """What a collection or an alias is called in Milvus, given its valid name."""
    return PREFIX + name.replace("-", _HYPHEN)


def name_from_milvus(name: str) -> str | None:
    """What a collection or an alias is called here; None where it is none of ours."""
    return name[len(PREFIX) :].replace(_HYPHEN, "-") if name.startswith(PREFIX) else None
