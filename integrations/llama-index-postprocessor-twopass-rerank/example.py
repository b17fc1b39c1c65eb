"""A query engine of LlamaIndex that has twopass rerank what its index finds.

Needs a server at `TWOPASS_TARGET`, by default localhost:50051: `twopass demo` leaves one up, and so
does `twopass serve`. The index is one in memory whose embeddings say nothing, so that whatever is
right comes from the second pass.

    pip install llama-index-postprocessor-twopass-rerank
    python example.py "What is glass made of?"
"""

import argparse
import asyncio

from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM

from llama_index.postprocessor.twopass_rerank import TwopassRerank

TEXTS = [
    "Canberra is the capital city of Australia; its parliament sits there.",
    "Sydney is the largest city of Australia; its opera house stands in the harbour.",
    "Bees make honey from the nectar of flowers.",
    "The moon pulls at the sea and so makes the tides.",
    "Glass is made of molten sand.",
]


def main() -> None:
    """Finds everything, and keeps what answers the question."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question", nargs="?", default="Which city is the capital of Australia?")
    question = parser.parse_args().question

    documents = [Document(text=text) for text in TEXTS]
    index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=4))
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=len(TEXTS), node_postprocessors=[TwopassRerank(top_n=2)]
    )
    for answer in (engine.query(question), asyncio.run(engine.aquery(question))):
        for source in answer.source_nodes:
            passes = source.metadata["twopass"]
            print(f"relevance {source.score:.3f}, was {passes['retrieval_rank']}.: {source.text}")


if __name__ == "__main__":
    main()
