"""Examples of requests, by the rpc's full name: bodies without what stands in the path."""

from collections.abc import Mapping
from typing import Any

_COLLECTIONS = "twopass.v1.CollectionService."

EXAMPLES: Mapping[str, dict[str, Any]] = {
    "twopass.v1.SearchService.Search": {
        "query": "How do I parse a date?",
        "top_n": 5,
        "retrieve": {"mode": "RETRIEVE_MODE_HYBRID", "k": 50},
        "time_budget": "0.2s",
    },
    "twopass.v1.SearchService.BatchSearch": {
        "searches": [
            {"collection": "docs", "query": "How do I parse a date?", "top_n": 3},
            {"collection": "docs", "query": "How do I copy a file?", "top_n": 3},
        ]
    },
    "twopass.v1.RerankService.Rerank": {
        "query": "What is the capital of Australia?",
        "candidates": [
            {"id": "a", "text": "Sydney is the largest city of Australia."},
            {"id": "b", "text": "Canberra is the capital city of Australia."},
        ],
        "top_n": 1,
    },
    "twopass.v1.EmbedService.Embed": {
        "texts": ["How do I parse a date?"],
        "role": "EMBED_ROLE_QUERY",
    },
    f"{_COLLECTIONS}CreateCollection": {
        "name": "docs",
        "schema": {
            "language": "en",
            "indexed_fields": [{"field": "language", "type": "FIELD_TYPE_TEXT"}],
        },
    },
    f"{_COLLECTIONS}RenameCollection": {"new_name": "docs-1", "keep_alias": True},
    f"{_COLLECTIONS}SetSearchDefaults": {
        "search_defaults": {"mode": "RETRIEVE_MODE_HYBRID", "k": 100, "chosen_by": "a person"}
    },
    f"{_COLLECTIONS}UpdateAliases": {"changes": [{"alias": "live", "collection": "docs"}]},
    f"{_COLLECTIONS}UpsertDocuments": {
        "documents": [
            {
                "id": "strptime",
                "title": "datetime",
                "text": "datetime.strptime parses a date from a string, according to a format.",
                "metadata": {"language": "en", "year": 2026},
            },
            {"id": "copyfile", "text": "shutil.copyfile copies the contents of a file."},
        ]
    },
    f"{_COLLECTIONS}DeleteDocuments": {"ids": ["copyfile"]},
    f"{_COLLECTIONS}UpdateMetadata": {"ids": ["strptime"], "merge": {"year": 2027}},
    f"{_COLLECTIONS}GetDocuments": {"ids": ["strptime"], "allow_missing": True},
    f"{_COLLECTIONS}ListDocuments": {"page_size": 10, "fields": {"text": False}},
    f"{_COLLECTIONS}CountDocuments": {
        "filter": {"must": [{"field": {"field": "year", "range": {"gte": 2026}}}]}
    },
    f"{_COLLECTIONS}GetFacets": {"facets": [{"field": "language", "limit": 10}]},
    "twopass.v1.FeedbackService.RecordFeedback": {
        "events": [
            {
                "query_id": "q-17",
                "document_id": "strptime",
                "kind": "FEEDBACK_KIND_JUDGEMENT",
                "grade": 2,
            },
            {"query_id": "q-17", "document_id": "copyfile", "kind": "FEEDBACK_KIND_CLICK"},
        ]
    },
    "twopass.v1.FeedbackService.DeleteFeedback": {"query_ids": ["q-17"]},
    f"{_COLLECTIONS}CreateSnapshot": {"name": "before-import"},
    f"{_COLLECTIONS}RestoreSnapshot": {"new_collection": "docs-restored"},
}
