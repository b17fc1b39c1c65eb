"""TEI's operations, joined."""

from twopass.server.tei.embedding import TextEmbedding
from twopass.server.tei.scoring import Scoring
from twopass.server.tei.served import ServedModels, TeiParts
from twopass.server.tei.tokens import Tokens


class TeiOperations:
    """What TEI does with a model; the same objects serve every wire.

    Operations take what is asked for and the call, and raise, beside what each names, what the
    rooms below raise; `errors.failure_of` tells all of it in TEI's words.

    Attributes:
        served: Finds and describes models.
        scoring: Ranks and classifies.
        embedding: Embeds and compares.
        tokens: Tokenises and decodes.
    """

    def __init__(self, parts: TeiParts) -> None:
        """Takes what the operations work with."""
        self.served = ServedModels(parts)
        self.scoring = Scoring(parts, self.served)
        self.embedding = TextEmbedding(parts, self.served)
        self.tokens = Tokens(parts, self.served)
