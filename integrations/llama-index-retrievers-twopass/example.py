"""Retrieval-augmented generation in LlamaIndex, with both passes of twopass.

Needs a server at `TWOPASS_TARGET`, by default localhost:50051: `twopass demo` leaves one up, and so
does `twopass serve`. No API key is needed: LlamaIndex's `MockLLM` stands in for a model and answers
with what it is asked.

    pip install llama-index-retrievers-twopass
    python example.py
    python example.py --collection python-docs "How do I parse a date?"   # of `twopass demo`
"""

import argparse
import asyncio

from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import TextNode

from llama_index.retrievers.twopass import TwopassRetriever
from llama_index.vector_stores.twopass import TwopassVectorStore

PASSAGES = {
    "canberra": "Canberra is the capital city of Australia; its parliament sits there.",
    "sydney": "Sydney is the largest city of Australia; its opera house stands in the harbour.",
    "strptime": "datetime.strptime(text, format) parses a text into a datetime.",
    "strftime": "datetime.strftime(format) writes a datetime as a text.",
    "sky": "The sky is blue since air scatters short waves of sunlight most.",
    "sunset": "At sunset light has a long way through the air, and red is what is left.",
    "honey": "Bees make honey from the nectar of flowers.",
    "tides": "The moon pulls at the sea and so makes the tides.",
    "glass": "Glass is made of molten sand.",
    "thunder": "Thunder is the sound of air that lightning has heated.",
}
QUESTION = "Which city is the capital of Australia?"


def main() -> None:
    """Writes passages, unless another collection is asked, and answers the question."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question", nargs="?", default=QUESTION)
    parser.add_argument("--collection", default="llama-index-example")
    options = parser.parse_args()

    if options.collection == parser.get_default("collection"):
        store = TwopassVectorStore(options.collection, is_embedding_query=False)
        store.add([TextNode(id_=name, text=text) for name, text in PASSAGES.items()])

    # Both passes in one call; every node says how it was found and how relevant it is.
    retriever = TwopassRetriever(options.collection, similarity_top_k=3)
    for found in retriever.retrieve(options.question):
        passes = found.metadata["twopass"]
        print(
            f"{passes['rank']}. was {passes['first_pass_rank']:>2} after the first pass  "
            f"relevance {found.score:.3f}  {found.node_id}"
        )
    print(f"second pass: {passes['rerank_status']}, {passes['timings']['total_ms']:.1f} ms in all")

    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    print("\nThe model is asked:\n", engine.query(options.question), sep="\n")
    sources = asyncio.run(engine.aquery(options.question)).source_nodes
    print("\nThe same for asyncio, from:", ", ".join(source.node_id for source in sources))


if __name__ == "__main__":
    main()
