"""What one search finds in a store, and what it will ask of what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from twopass.index.documents import DocumentFields
from twopass.index.ranked_list import RankedList, WordMatches
from twopass.index.sequences import SequenceToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a search will ask of the documents it finds, for a store that can bring it along.

    What was announced may never be asked for. What was not announced may be asked for all the same,
    but for token ids.

    Attributes:
        token_ids: Whether a second pass will read the stored token ids of the documents found;
            where not, `load` may give an empty row for each.
        texts: Whether the titles and texts of all documents found will be fetched, for a second
            pass that can't use the token ids.
        fields: What will be fetched of the hits.
        num_hits: How many of the documents found will become hits at most; 0 for all of them.
    """

    token_ids: bool = True
    texts: bool = False
    fields: DocumentFields = field(default_factory=DocumentFields)
    num_hits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestList:
    """The documents nearest to a query, each by its vector or by its best window.

    Attributes:
        ranked: The documents, with inner products of the vectors as the collection's metric scales
            them.
        sequence: A state that the list has seen: every write up to it, perhaps later ones.
        windows: The best window of each document that is split, by the document's key: its first
            token in the passage and one past its last.
        exact: Whether the query was compared with every vector that could be found.
    """

    ranked: RankedList
    sequence: SequenceToken
    windows: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordList:
    """The documents whose words fit a query best.

    Attributes:
        ranked: The documents, with their BM25, and how many words of the query were not searched.
        sequence: A state that the list has seen: every write up to it, perhaps later ones.
    """

    ranked: WordMatches
    sequence: SequenceToken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BothLists:
    """Both lists of a hybrid search, found together.

    Attributes:
        nearest: The documents nearest to the query.
        words: Those whose words fit it best.
        beyond: Documents of `words` that are not in `nearest`, with their similarities and their
            nearest windows; a document whose similarity is not known is left out.
    """

    nearest: NearestList
    words: WordList
    beyond: NearestList
