"""Retrieval-augmented generation in Haystack, with both passes of twopass.

Needs a server at `TWOPASS_TARGET`, by default localhost:50051: `twopass demo` leaves one up, and so
does `twopass serve --data ./twopass-data`. No API key is needed: in place of a chat model the last
component of the pipeline quotes the first passage of its prompt.

    pip install twopass-haystack
    python example.py
    python example.py --collection python-docs "How do I parse a date?"   # of `twopass demo`
"""

import argparse
import asyncio

from haystack import Document, Pipeline, component
from haystack.components.builders import PromptBuilder
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.rankers.twopass import TwopassRanker
from haystack_integrations.components.retrievers.twopass import (
    TwopassBM25Retriever,
    TwopassRetriever,
)
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

PASSAGES = {
    "canberra": "Canberra was chosen as the seat of the Australian government in 1908.",
    "sydney": "Sydney is the largest city of Australia.",
    "vienna": "Vienna is the capital of Austria.",
    "gains": "What the tax on capital gains is in Australia depends on the income.",
    "sky": "The sky is blue since air scatters short waves of sunlight most.",
    "sunset": "At sunset light has a long way through the air, and red is what is left.",
    "honey": "Bees make honey from the nectar of flowers.",
    "tides": "The moon pulls at the sea and so makes the tides.",
    "glass": "Glass is made of molten sand.",
    "thunder": "Thunder is the sound of air that lightning has heated.",
}
QUESTION = "Why does the sea rise and fall?"
PROMPT = """Answer from these passages alone.
{% for document in documents %}
[{{ loop.index }}] {{ document.content }}
{% endfor %}
Question: {{ query }}
"""


@component
class QuotingGenerator:
    """Stands in for a generator: answers with the first passage of its prompt."""

    @component.output_types(replies=list[str])
    def run(self, prompt: str) -> dict[str, list[str]]:
        """The line after the first passage's mark."""
        _, _, passages = prompt.partition("[1] ")
        return {"replies": [f"According to [1]: {passages.partition(chr(10))[0] or 'nothing'}"]}


def written(store: TwopassDocumentStore) -> int:
    """Writes the passages, which the server embeds; a second run leaves them as they are."""
    indexing = Pipeline()
    indexing.add_component("writer", DocumentWriter(store, DuplicatePolicy.SKIP))
    documents = [Document(id=id_, content=text) for id_, text in PASSAGES.items()]
    number: int = indexing.run({"writer": {"documents": documents}})["writer"]["documents_written"]
    return number


def answering(store: TwopassDocumentStore) -> Pipeline:
    """A pipeline whose retriever runs both passes: no embedder before it, no ranker behind it."""
    pipeline = Pipeline()
    pipeline.add_component("retriever", TwopassRetriever(store, top_k=3))
    pipeline.add_component(
        "prompt", PromptBuilder(PROMPT, required_variables=["documents", "query"])
    )
    pipeline.add_component("generator", QuotingGenerator())
    pipeline.connect("retriever.documents", "prompt.documents")
    pipeline.connect("prompt", "generator")
    return pipeline


def main() -> None:
    """Writes passages, unless another collection is asked, and answers the question."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question", nargs="?", default=QUESTION)
    parser.add_argument("--collection", default="haystack-example")
    options = parser.parse_args()

    store = TwopassDocumentStore(options.collection)
    if options.collection == parser.get_default("collection"):
        print(f"{written(store)} of {store.count_documents()} passages are new")

    pipeline = answering(store)
    asked = {"retriever": {"query": options.question}, "prompt": {"query": options.question}}
    told = pipeline.run(asked, include_outputs_from={"retriever"})
    for document in told["retriever"]["documents"]:
        search = document.meta["twopass"]
        print(
            f"{search['rank']}. was {search['first_pass_rank']:>2} after the first pass  "
            f"relevance {document.score:.3f}  {document.id}"
        )
    meta = told["retriever"]["meta"]
    print(f"second pass: {meta['rerank_status']}, {meta['timings']['total_ms']:.1f} ms in all\n")
    print("sync: ", told["generator"]["replies"][0])

    # The same pipeline in an event loop, whose calls don't wait in threads.
    async def answered() -> str:
        reply = (await pipeline.run_async(asked))["generator"]["replies"][0]
        await pipeline.close_async()
        return str(reply)

    print("async:", asyncio.run(answered()))

    # The second pass alone, over what any other retriever has found.
    found = TwopassBM25Retriever(store).run(options.question, top_k=5)["documents"]
    best = TwopassRanker(top_k=1).run(options.question, found)["documents"][0]
    print(f"rank:  {best.id}, relevance {best.score:.3f}")
    pipeline.close()


if __name__ == "__main__":
    main()
