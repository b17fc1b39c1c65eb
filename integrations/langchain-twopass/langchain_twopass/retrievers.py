"""The retriever: both passes in one call."""

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from pydantic import ConfigDict, Field

from langchain_twopass.connection import TwopassConnection
from langchain_twopass.documents import Content, Shape, documents_of
from langchain_twopass.search_options import SearchOptions
from twopass.client.reading import with_contents, with_contents_async


class TwopassRetriever(BaseRetriever, SearchOptions, TwopassConnection):
    """Finds documents of a collection by both passes.

    The server embeds the query, finds candidates by meaning and by words, and its cross-encoder
    reads the query with each of them: one call, and candidates never cross the network.

    ```python
    retriever = TwopassRetriever(collection_name="docs", k=3)
    retriever.invoke("How do I parse a date?", filter={"year": {"$gte": 2020}})
    ```

    Every field of `SearchOptions` is also an argument of `invoke` and `ainvoke`.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", use_attribute_docstrings=True
    )

    collection_name: str = Field(min_length=1)
    """The collection's name, or an alias."""

    embedding: Embeddings | None = None
    """Embeds the query, for collections whose vectors come from outside. None: the server does."""

    details_key: str | None = Field(default="twopass", min_length=1)
    """The metadata key of scores, ranks, statuses and timings. None: metadata is left as stored."""

    title_key: str | None = Field(default="title", min_length=1)
    """The metadata key of a title that the metadata does not have itself. None: left out."""

    content: Content = "document"
    """What `page_content` is: "document", the whole text, or "span", the part of a long one that
    matched best."""

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Fields that are not serialised, and the variables that they are read from."""
        return {"api_key": "TWOPASS_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether `langchain_core.load.dumps` writes it."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where `langchain_core.load.loads` finds it."""
        return ["langchain_twopass", "retrievers"]

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        params = super()._get_ls_params(**kwargs)
        params["ls_vector_store_provider"] = "twopass"
        if self.embedding is not None:
            params["ls_embedding_provider"] = type(self.embedding).__name__
        return params

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        options = self.merged(kwargs)
        vector = None if self.embedding is None else self.embedding.embed_query(query)
        request_id = str(run_manager.run_id)
        connected = self.connected()
        result = connected.search(
            self.collection_name, **self._arguments_of(options, query, vector, request_id)
        )
        result = with_contents(connected, self.collection_name, result)
        return documents_of(result, self._shape, request_id)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        options = self.merged(kwargs)
        vector = None if self.embedding is None else await self.embedding.aembed_query(query)
        request_id = str(run_manager.run_id)
        connected = self.connected_async()
        result = await connected.search(
            self.collection_name, **self._arguments_of(options, query, vector, request_id)
        )
        result = await with_contents_async(connected, self.collection_name, result)
        return documents_of(result, self._shape, request_id)

    @property
    def _shape(self) -> Shape:
        return Shape(self.details_key, self.title_key, self.content)

    @staticmethod
    def _arguments_of(
        options: SearchOptions, query: str, vector: Sequence[float] | None, request_id: str
    ) -> dict[str, Any]:
        return options.arguments(query, vector=vector) | {"request_id": request_id}
