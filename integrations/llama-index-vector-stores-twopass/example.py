"""An index of LlamaIndex whose nodes are in twopass: written, searched by both passes, kept true.

Needs a server at `TWOPASS_TARGET`, by default localhost:50051: `twopass demo` leaves one up, and so
does `twopass serve`. No model of a vendor is needed: the server embeds.

    pip install llama-index-vector-stores-twopass
    python example.py
"""

from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from llama_index.vector_stores.twopass import TwopassVectorStore

DOCUMENTS = [
    Document(id_="canberra", text="Canberra is the capital of Australia.", metadata={"year": 1913}),
    Document(id_="sydney", text="Sydney is its largest city.", metadata={"year": 1788}),
    Document(id_="honey", text="Bees make honey from the nectar of flowers.", metadata={}),
    Document(id_="tides", text="The moon pulls at the sea and so makes the tides.", metadata={}),
    Document(id_="glass", text="Glass is made of molten sand.", metadata={}),
]
NOT_SENT = MockEmbedding(embed_dim=1)  # LlamaIndex wants a model; the server embeds in its place
SINCE_1900 = MetadataFilters(
    filters=[MetadataFilter(key="year", value=1900, operator=FilterOperator.GTE)]
)


def main() -> None:
    """Writes documents, searches them, and writes those again that have changed."""
    store = TwopassVectorStore("llama-index-store-example", is_embedding_query=False)
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(), NOT_SENT],
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        vector_store=store,
    )
    pipeline.run(documents=DOCUMENTS)

    index = VectorStoreIndex.from_vector_store(store, embed_model=NOT_SENT)
    question = "Which insects make something sweet?"
    for mode in ("default", "text_search", "hybrid", "semantic_hybrid"):
        retriever = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=1)
        for found in retriever.retrieve(question):
            print(f"{mode:16} {found.score:6.3f}  {found.text}")

    recent = index.as_retriever(similarity_top_k=5, filters=SINCE_1900)
    print("since 1900:", [found.node.ref_doc_id for found in recent.retrieve("a city")])

    changed = Document(id_="glass", text="Glass is a frozen liquid.", metadata={})
    pipeline.run(documents=[*DOCUMENTS[:4], changed])
    print("after a change:", len(store.get_nodes()), "nodes")
    store.clear()


if __name__ == "__main__":
    main()
