"""Which of some texts is nearest to a question, by LlamaIndex and an encoder of twopass.

Needs a server at `TWOPASS_TARGET`, by default localhost:50051: `twopass demo` leaves one up, and so
does `twopass serve`.

    pip install llama-index-embeddings-twopass
    python example.py "What is glass made of?"
"""

import argparse
import asyncio

from llama_index.embeddings.twopass import TwopassEmbedding

TEXTS = [
    "Canberra is the capital city of Australia; its parliament sits there.",
    "Bees make honey from the nectar of flowers.",
    "The moon pulls at the sea and so makes the tides.",
    "Glass is made of molten sand.",
]


async def compare(question: str) -> None:
    """Embeds the question and the texts, and prints their similarities."""
    model = TwopassEmbedding()
    query, texts = await asyncio.gather(
        model.aget_query_embedding(question), model.aget_text_embedding_batch(TEXTS)
    )
    for text, embedding in zip(TEXTS, texts, strict=True):
        print(f"{model.similarity(query, embedding):6.3f}  {text}")
    await model.aclose()


def main() -> None:
    """Compares the texts with the question."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question", nargs="?", default="Which city is the capital of Australia?")
    asyncio.run(compare(parser.parse_args().question))


if __name__ == "__main__":
    main()
