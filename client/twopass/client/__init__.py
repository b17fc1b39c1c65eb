"""The client: `Client`, and `AsyncClient` for asyncio. Errors are in `twopass.client.errors`.

```python
with Client("localhost:50051") as client:
    for hit in client.search("docs", "How do I parse a date?", top_n=3).hits:
        print(hit.score, hit.id)
```
"""

from twopass.client._arranging import Collapse, CollapsedDocument, CollapsedDocuments, Diversity
from twopass.client._async_clients import AsyncClients
from twopass.client._asyncio import AsyncClient
from twopass.client._balancing import Balancing
from twopass.client._collections import Chunking, Collection, Schema
from twopass.client._connect import connect
from twopass.client._documents import DeleteResult, Document, Fields, Span, UpdateResult
from twopass.client._embed import EmbedResult
from twopass.client._enums import (
    AdviceKind,
    ArrangeStatus,
    CollapseReason,
    EmbedRole,
    FeedbackKind,
    FeedbackRefusalReason,
    FieldType,
    LexicalTokenizer,
    Metric,
    ModelKind,
    OnConflict,
    QueryTruncation,
    RerankStatus,
    RetrieveMode,
    RetrieveStatus,
    ShadowMeasure,
    SpansStatus,
    SpanUnit,
    Truncation,
)
from twopass.client._facets import Facet, FacetValue
from twopass.client._feedback import (
    Feedback,
    FeedbackRefusal,
    FeedbackSummary,
    RecordedFeedback,
    Shadow,
    ShadowComparison,
    ShadowDifference,
)
from twopass.client._filters import Condition, Field, document_ids, field
from twopass.client._fusions import ConvexFusion, ReciprocalRankFusion
from twopass.client._models import EngineMember, Model
from twopass.client._report import (
    Advice,
    FeedbackCounts,
    OrderChange,
    PassagesRead,
    PlaceBin,
    Report,
    SecondPassTime,
    TopScores,
    ValueBin,
)
from twopass.client._rerank import CandidateSet, Passage
from twopass.client._rerank_results import RerankHit, RerankResult, SetResult
from twopass.client._search import (
    Phrase,
    Prefix,
    Rerank,
    Retrieve,
    Search,
    WordClauses,
)
from twopass.client._search_defaults import SearchDefaults
from twopass.client._search_results import SearchHit, SearchOutcome, SearchResult
from twopass.client._server import LaneLoad, Limits, Load, ServerInfo, Worker
from twopass.client._snapshots import Snapshot
from twopass.client._spans import Highlight, ScoredSpan, Spans
from twopass.client._sync import Client
from twopass.client._timings import Timings
from twopass.client._upsert import UpsertSummary
from twopass.client.errors import (
    AlreadyExistsError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    TwopassError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)

__all__ = [
    "Advice",
    "AdviceKind",
    "AlreadyExistsError",
    "ArrangeStatus",
    "AsyncClient",
    "AsyncClients",
    "Balancing",
    "CandidateSet",
    "Chunking",
    "Client",
    "Collapse",
    "CollapseReason",
    "CollapsedDocument",
    "CollapsedDocuments",
    "Collection",
    "Condition",
    "ConvexFusion",
    "DataLossError",
    "DeadlineExceededError",
    "DeleteResult",
    "Diversity",
    "Document",
    "EmbedResult",
    "EmbedRole",
    "EngineMember",
    "Facet",
    "FacetValue",
    "FailedPreconditionError",
    "Feedback",
    "FeedbackCounts",
    "FeedbackKind",
    "FeedbackRefusal",
    "FeedbackRefusalReason",
    "FeedbackSummary",
    "Field",
    "FieldType",
    "Fields",
    "Highlight",
    "InternalError",
    "InvalidArgumentError",
    "LaneLoad",
    "LexicalTokenizer",
    "Limits",
    "Load",
    "Metric",
    "Model",
    "ModelKind",
    "NotFoundError",
    "OnConflict",
    "OrderChange",
    "OverloadedError",
    "Passage",
    "PassagesRead",
    "PermissionDeniedError",
    "Phrase",
    "PlaceBin",
    "Prefix",
    "QueryTruncation",
    "ReciprocalRankFusion",
    "RecordedFeedback",
    "Report",
    "Rerank",
    "RerankHit",
    "RerankResult",
    "RerankStatus",
    "Retrieve",
    "RetrieveMode",
    "RetrieveStatus",
    "Schema",
    "ScoredSpan",
    "Search",
    "SearchDefaults",
    "SearchHit",
    "SearchOutcome",
    "SearchResult",
    "SecondPassTime",
    "ServerInfo",
    "SetResult",
    "Shadow",
    "ShadowComparison",
    "ShadowDifference",
    "ShadowMeasure",
    "Snapshot",
    "Span",
    "SpanUnit",
    "Spans",
    "SpansStatus",
    "Timings",
    "TopScores",
    "Truncation",
    "TwopassError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UpdateResult",
    "UpsertSummary",
    "ValueBin",
    "WordClauses",
    "Worker",
    "connect",
    "document_ids",
    "field",
]
