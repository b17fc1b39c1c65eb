"""`twopass models recommend`: public rerankers and encoders, by language and size."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

import typer

from twopass.commands.options import AsJson, print_json
from twopass.commands.terminal.consoles import literal
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.sentences import say, say_exactly


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A published model.

    Attributes:
        id: On the Hugging Face hub.
        kind: "reranker" or "encoder".
        language: "en", "zh+en" or "multi".
        million_parameters: Embeddings included.
        max_tokens: Longest sequence.
        licence: As its page names it.
        family: `model_type` of its config.json.
        note: What one has to know or to set.
        confirmed: Which of "family", "licence", "size" (`million_parameters`) and "tokens"
            (`max_tokens`) were seen in stored copies of the model's page or files, in its
            publisher's documentation, or in the files of models made from it. The others are from
            general knowledge.
    """

    id: str
    kind: str
    language: str
    million_parameters: int
    max_tokens: int
    licence: str
    family: str
    note: str = ""
    confirmed: tuple[str, ...] = ()

    @property
    def runs_on(self) -> str:
        """What computes it, the fastest first; `docs/models.md` says which family runs where."""
        return _ENGINES.get(self.family, "core, torch, onnxruntime")


# Families that the core does not compute, by `model_type`.
_ENGINES = {
    "deberta-v2": "torch, onnxruntime",
    "qwen2": "transformers",
    "qwen3": "transformers",
    "gemma": "transformers",
    "gemma3_text": "transformers",
}
_E5 = 'say query_prefix "query: " and passage_prefix "passage: " in twopass.json'
_BGE = (
    'say query_prefix "Represent this sentence for searching relevant passages: " in twopass.json'
)
_NOMIC = 'say query_prefix "search_query: " and passage_prefix "search_document: " in twopass.json'

MODELS = (
    PublicModel(
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        "reranker",
        "en",
        23,
        512,
        "apache-2.0",
        "bert",
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "mixedbread-ai/mxbai-rerank-xsmall-v1",
        "reranker",
        "en",
        71,
        512,
        "apache-2.0",
        "deberta-v2",
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1",
        "reranker",
        "multi",
        118,
        512,
        "apache-2.0",
        "xlm-roberta",
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "Alibaba-NLP/gte-reranker-modernbert-base",
        "reranker",
        "en",
        149,
        8192,
        "apache-2.0",
        "modernbert",
        confirmed=("family", "licence", "size", "tokens"),
    ),
    PublicModel(
        "ibm-granite/granite-embedding-reranker-english-r2",
        "reranker",
        "en",
        149,
        8192,
        "apache-2.0",
        "modernbert",
        confirmed=("family", "licence", "size", "tokens"),
    ),
    PublicModel(
        "mixedbread-ai/mxbai-rerank-base-v1",
        "reranker",
        "en",
        184,
        512,
        "apache-2.0",
        "deberta-v2",
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "BAAI/bge-reranker-base",
        "reranker",
        "zh+en",
        278,
        512,
        "mit",
        "xlm-roberta",
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "Alibaba-NLP/gte-multilingual-reranker-base",
        "reranker",
        "multi",
        306,
        8192,
        "apache-2.0",
        "new",
        confirmed=("family", "licence"),
    ),
    PublicModel(
        "mixedbread-ai/mxbai-rerank-large-v1",
        "reranker",
        "en",
        435,
        512,
        "apache-2.0",
        "deberta-v2",
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "mixedbread-ai/mxbai-rerank-base-v2",
        "reranker",
        "multi",
        494,
        8192,
        "apache-2.0",
        "qwen2",
        "a decoder: for a GPU",
        confirmed=("family", "licence", "size", "tokens"),
    ),
    PublicModel(
        "BAAI/bge-reranker-v2-m3",
        "reranker",
        "multi",
        568,
        8192,
        "apache-2.0",
        "xlm-roberta",
        confirmed=("family", "licence"),
    ),
    PublicModel(
        "Qwen/Qwen3-Reranker-0.6B",
        "reranker",
        "multi",
        596,
        32768,
        "apache-2.0",
        "qwen3",
        "a decoder: for a GPU; takes an instruction",
        confirmed=("family", "size", "tokens"),
    ),
    PublicModel(
        "BAAI/bge-reranker-v2-gemma",
        "reranker",
        "multi",
        2506,
        8192,
        "apache-2.0",
        "gemma",
        "a decoder: for a GPU; see its card for Gemma's terms",
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "sentence-transformers/all-MiniLM-L6-v2",
        "encoder",
        "en",
        23,
        256,
        "apache-2.0",
        "bert",
        "the shipped default",
        confirmed=("family", "licence", "size", "tokens"),
    ),
    PublicModel(
        "BAAI/bge-small-en-v1.5",
        "encoder",
        "en",
        33,
        512,
        "mit",
        "bert",
        _BGE,
        confirmed=("family", "licence"),
    ),
    PublicModel(
        "intfloat/e5-small-v2",
        "encoder",
        "en",
        33,
        512,
        "mit",
        "bert",
        _E5,
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "BAAI/bge-base-en-v1.5",
        "encoder",
        "en",
        109,
        512,
        "mit",
        "bert",
        _BGE,
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "sentence-transformers/all-mpnet-base-v2",
        "encoder",
        "en",
        109,
        384,
        "apache-2.0",
        "mpnet",
        confirmed=("family", "licence"),
    ),
    PublicModel(
        "intfloat/multilingual-e5-small",
        "encoder",
        "multi",
        118,
        512,
        "mit",
        "bert",
        _E5,
        confirmed=("family", "tokens"),
    ),
    PublicModel(
        "nomic-ai/nomic-embed-text-v1.5",
        "encoder",
        "en",
        137,
        8192,
        "apache-2.0",
        "nomic_bert",
        _NOMIC,
        confirmed=("family", "licence", "tokens"),
    ),
    PublicModel(
        "Alibaba-NLP/gte-modernbert-base",
        "encoder",
        "en",
        149,
        8192,
        "apache-2.0",
        "modernbert",
        confirmed=("family", "licence", "size", "tokens"),
    ),
    PublicModel(
        "ibm-granite/granite-embedding-english-r2",
        "encoder",
        "en",
        149,
        8192,
        "apache-2.0",
        "modernbert",
        confirmed=("family", "licence", "size", "tokens"),
    ),
    PublicModel(
        "Alibaba-NLP/gte-multilingual-base",
        "encoder",
        "multi",
        305,
        8192,
        "apache-2.0",
        "new",
        confirmed=("family", "licence"),
    ),
    PublicModel(
        "mixedbread-ai/mxbai-embed-large-v1",
        "encoder",
        "en",
        335,
        512,
        "apache-2.0",
        "bert",
        "its prompt is in newer revisions' files; see check",
        confirmed=("family", "licence"),
    ),
    PublicModel(
        "intfloat/multilingual-e5-large",
        "encoder",
        "multi",
        560,
        512,
        "mit",
        "xlm-roberta",
        _E5,
        confirmed=("family", "tokens"),
    ),
    PublicModel(
        "Snowflake/snowflake-arctic-embed-l-v2.0",
        "encoder",
        "multi",
        568,
        8192,
        "apache-2.0",
        "xlm-roberta",
        "its prompt is read from its folder",
        confirmed=("family", "licence", "tokens"),
    ),
)


def recommend(
    kind: Annotated[str, typer.Option(help="reranker, encoder, or empty for both.")] = "",
    language: Annotated[
        str, typer.Option(help="en for English; multi for models of many languages.")
    ] = "",
    max_parameters: Annotated[
        int, typer.Option(min=0, help="At most so many million parameters; 0 for any number.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Name public rerankers and encoders, smallest first, with what runs them and their licence.

    Within a language and a family of models, larger ones order better and take longer, about in
    proportion to their parameters. Measure on your own questions: twopass eval.
    """
    for name, value, known in (
        ("--kind", kind, ("", "reranker", "encoder")),
        ("--language", language, ("", "en", "zh", "multi")),
    ):
        if value not in known:
            exit_with(f"{name}: {value!r} given, one of {', '.join(filter(None, known))} is known")
    found = [
        model
        for model in MODELS
        if (not kind or model.kind == kind)
        and (not language or language in model.language.split("+"))
        and (not max_parameters or model.million_parameters <= max_parameters)
    ]
    if as_json:
        print_json([dataclasses.asdict(model) | {"runs_on": model.runs_on} for model in found])
        return
    for model in found:
        _print(model)
    say(
        "Confirmed: seen in stored copies of their pages and files; the rest is from general "
        "knowledge. Only all-MiniLM-L6-v2 was run. Look at a card before you rely on a licence. "
        "Next: twopass models check NAME, then twopass serve --reranker NAME"
    )


def _print(model: PublicModel) -> None:
    """A name in a line of its own, to be copied whole from a narrow terminal; facts below it."""
    facts = (
        f"{model.kind}, {model.language}, {model.million_parameters:,} million parameters, "
        f"{model.max_tokens:,} tokens, {model.licence}, runs on {model.runs_on}; "
        f"confirmed: {', '.join(model.confirmed)}" + (f"; {model.note}" if model.note else "")
    )
    say_exactly(literal(model.id, "bold"))
    say(facts, indent=4)
