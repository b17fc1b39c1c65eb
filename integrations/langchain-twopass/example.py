"""Retrieval-augmented generation in LangChain, with both passes of twopass.

Needs a server at `TWOPASS_TARGET`, by default localhost:50051: `twopass demo` leaves one up, and so
does `twopass serve --data ./twopass-data`. No API key is needed: the chat model is a fake one that
quotes the first passage it is given.

    pip install langchain-twopass
    python example.py
    python example.py --collection python-docs "How do I parse a date?"   # of `twopass demo`
"""

import argparse
import asyncio
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models.chat_models import SimpleChatModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough

from langchain_twopass import TwopassRerank, TwopassRetriever, TwopassVectorStore

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
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer from these passages alone.\n\n{context}"), ("human", "{question}")]
)


class QuotingChatModel(SimpleChatModel):
    """Stands in for a chat model: answers with the first passage of its prompt."""

    @property
    def _llm_type(self) -> str:
        return "quoting"

    def _call(self, messages: list[BaseMessage], *_: Any, **__: Any) -> str:
        _, _, passages = str(messages[0].content).partition("[1] ")
        return f"According to [1]: {passages.splitlines()[0] if passages else 'nothing'}"


def numbered(documents: list[Document]) -> str:
    """Passages as the prompt has them: title and text, as the second pass has read them."""
    return "\n".join(
        " ".join(filter(None, (f"[{n}]", each.metadata.get("title"), each.page_content)))
        for n, each in enumerate(documents, start=1)
    )


def main() -> None:
    """Writes passages, unless another collection is asked, and answers the question."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question", nargs="?", default=QUESTION)
    parser.add_argument("--collection", default="langchain-example")
    options = parser.parse_args()

    store = TwopassVectorStore(collection_name=options.collection)
    if options.collection == parser.get_default("collection"):
        store.add_texts(PASSAGES.values(), ids=list(PASSAGES))

    # Both passes in one call; every document says how it was found and how relevant it is.
    retriever = TwopassRetriever(collection_name=options.collection, k=3)
    for document in retriever.invoke(options.question):
        search = document.metadata["twopass"]
        print(
            f"{search['rank']}. was {search['first_pass_rank']:>2} after the first pass  "
            f"relevance {search['score']:.3f}  {document.id}"
        )
    print(
        f"second pass: {search['rerank_status']}, {search['timings']['total_ms']:.1f} ms in all\n"
    )

    chain = (
        {"context": retriever | numbered, "question": RunnablePassthrough()}
        | PROMPT
        | QuotingChatModel()
        | StrOutputParser()
    )
    print("sync: ", chain.invoke(options.question))
    print("async:", asyncio.run(chain.ainvoke(options.question)))

    # The second pass alone, over what any other retriever has found.
    found = store.similarity_search(options.question, k=5)
    rerank = TwopassRerank(top_n=1, title_key="title")
    best = rerank.compress_documents(found, options.question)[0]
    print(f"rerank: {best.id}, relevance {best.metadata['relevance_score']:.3f}")


if __name__ == "__main__":
    main()
