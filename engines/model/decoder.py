"""What a folder says of a decoder that reranks: its prompt, and the tokens whose logits are read.

A causal language model reranks by what it would say next. Its prompt holds an instruction, a query
and a passage, and the score is the logit of one token ("yes"), or its lead over another ("no").
A decoder with a head for classification has the prompt alone. All of it is read from the folder:
from `twopass.json`, or from the module `LogitScore` and the chat template that
sentence-transformers writes. Where a folder says nothing, the layouts that its publishers describe
are known by the folder's name.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twopass.engines.errors import EngineUnavailableError, ModelError
from twopass.engines.installing import how_to_install

_logger = logging.getLogger("twopass.engines")

# Stand for texts in prompts: characters that Unicode gives no meaning.
QUERY, PASSAGE, INSTRUCTION = "\ue000", "\ue001", "\ue002"
_SLOTS = {"{query}": QUERY, "{passage}": PASSAGE, "{instruction}": INSTRUCTION}

_LONG_PROBES = ("Oak " * 1_000 + "end", "Two " * 5_000 + "end")

# `model_type` of language models that read from left to right.
# fmt: off
_MODEL_TYPES = frozenset(
    [
        "cohere",
        "cohere2",
        "gemma",
        "gemma2",
        "gemma3_text",
        "gpt2",
        "gpt_neox",
        "granite",
        "llama",
        "mistral",
        "mixtral",
        "olmo2",
        "phi",
        "phi3",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "smollm3",
        "stablelm",
        "starcoder2",
    ]
)
# fmt: on
# Sequences are as long as memory and quality allow, not as the positions do: publishers of the
# known layouts use 8,192 tokens or fewer.
MAX_DECODER_TOKENS = 8_192


@dataclass(frozen=True, slots=True)
class PromptLayout:
    """A prompt around a query, a passage and perhaps an instruction.

    Attributes:
        pieces: Texts that are tokenised each for itself and read one after the other. `QUERY`
            stands once in them for the query and after it once `PASSAGE` for the passage.
        instructed: The same where an instruction is given, which stands for `INSTRUCTION`; None for
            a model that takes none.
        instruction: The instruction of requests that give none; "" reads `pieces`.
        strips: Whether the prompt strips texts of white space at their ends.
    """

    pieces: tuple[str, ...]
    instructed: tuple[str, ...] | None = None
    instruction: str = ""
    strips: bool = False


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """How a decoder reranks.

    Attributes:
        layout: The prompt; None where the tokenizer joins query and passage by its own template.
        true_token: The token, or its id, whose logit speaks for the passage; None where the model
            has a head for classification.
        false_token: The token, or its id, whose logit speaks against it; None to read the other's
            alone.
        source: Where all this was read, for messages.
    """

    layout: PromptLayout | None
    true_token: str | int | None
    false_token: str | int | None
    source: str

    @property
    def decisive(self) -> dict[str, object]:
        """What of it decides a logit."""
        return {
            "layout": self.layout,
            "true_token": self.true_token,
            "false_token": self.false_token,
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """A layout as its publisher describes it, and the names of the folders that have it."""

    names: "re.Pattern[str]"
    layout: PromptLayout
    true_token: str
    false_token: str | None


def _pieces(*texts: str) -> tuple[str, ...]:
    for name, slot in _SLOTS.items():
        texts = tuple(text.replace(name, slot) for text in texts)
    return texts


_QWEN2_SYSTEM = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    "<|im_end|>\n<|im_start|>user\n"
)
_MXBAI_TASK = (
    "You are a search relevance expert who evaluates how well documents match search queries. For "
    "each query-document pair, carefully analyze the semantic relationship between them, then "
    "provide your binary relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:"
)
_MXBAI_END = ("\n", _MXBAI_TASK, "<|im_end|>\n<|im_start|>assistant\n")

_KNOWN = {
    # The card of Qwen/Qwen3-Reranker-0.6B (4B, 8B).
    "qwen3-reranker": _Known(
        re.compile(r"qwen3[-_]reranker", re.IGNORECASE),
        PromptLayout(
            instructed=_pieces(
                "<|im_start|>system\nJudge whether the Document meets the requirements based on "
                "the Query and the Instruct provided. Note that the answer can only be "
                '"yes" or "no".<|im_end|>\n<|im_start|>user\n<Instruct>: {instruction}\n'
                "<Query>: {query}\n<Document>: {passage}<|im_end|>\n<|im_start|>assistant\n"
                "<think>\n\n</think>\n\n"
            ),
            pieces=(),
            instruction="Given a web search query, retrieve relevant passages that answer the "
            "query",
        ),
        "yes",
        "no",
    ),
    # mixedbread-ai/mxbai-rerank, mxbai_rerank_v2.py: each part is tokenised for itself.
    "mxbai-rerank-v2": _Known(
        re.compile(r"mxbai[-_]rerank[-_]\w+[-_]v2", re.IGNORECASE),
        PromptLayout(
            pieces=_pieces(_QWEN2_SYSTEM, "query: {query}", "\n", "document: {passage}")
            + _MXBAI_END,
            instructed=_pieces(
                _QWEN2_SYSTEM,
                "instruction: {instruction}\nquery: {query}",
                "\n",
                "document: {passage}",
            )
            + _MXBAI_END,
        ),
        "1",
        "0",
    ),
    # The card of BAAI/bge-reranker-v2-gemma: the prompt at the end is the instruction.
    "bge-reranker-gemma": _Known(
        re.compile(r"bge[-_]reranker[-_]v2[-_]gemma", re.IGNORECASE),
        PromptLayout(
            pieces=(),
            instructed=_pieces("<bos>", "A: {query}", "\n", "B: {passage}", "\n", "{instruction}"),
            instruction="Given a query A and a passage B, determine whether the passage contains "
            "an answer to the query by providing a prediction of either 'Yes' or 'No'.",
        ),
        "Yes",
        None,
    ),
}


def is_decoder(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` describes a language model that reads from left to right."""
    bidirectional = config.get("use_bidirectional_attention") or config.get("is_causal") is False
    return config.get("model_type") in _MODEL_TYPES and not bidirectional


def read_decoder(
    path: Path, config: Mapping[str, Any], settings: Mapping[str, Any]
) -> DecoderSettings | None:
    """Reads how the decoder of a folder reranks; None where the model is no such reranker.

    Args:
        path: The folder.
        config: Its `config.json`.
        settings: Its `twopass.json`; empty where there is none.

    Raises:
        ModelError: What the folder says of it is incomplete or contradicts itself.
        EngineUnavailableError: Its chat template can't be read without Jinja.
    """
    if not is_decoder(config) or settings.get("kind") == "encoder":
        return None
    has_head = str((config.get("architectures") or [""])[0]).endswith("ForSequenceClassification")
    module = _module(path, "LogitScore")
    if not has_head and module is None and _module(path, "Pooling") is not None:
        return None
    found = _of_settings(path, settings) or _of_module(path, module) or _of_name(path, config)
    template = _chat_template(path) if found is None or found.layout is None else None
    if template is not None:
        layout = _layout_of(path, *template)
        if layout is not None:
            found = replace(
                found or DecoderSettings(None, None, None, "chat template"), layout=layout
            )
    if found is not None and found.layout is None and (named := _of_name(path, config)):
        found = replace(found, layout=named.layout)
    if has_head:
        found = found or DecoderSettings(None, None, None, "the tokenizer's pairs")
        return replace(found, true_token=None, false_token=None)
    if found is None or found.true_token is None or found.layout is None:
        if settings.get("kind") != "reranker" and found is None and module is None:
            return None
        raise ModelError(
            f"{path}: a language model reranks by a prompt and the token it answers with, and "
            'neither modules.json (LogitScore) nor the folder\'s name tells them; write "prompt" '
            f'into twopass.json: {{"layout": …}} with one of {", ".join(_KNOWN)}, or pieces and '
            "tokens of your own"
        )
    return found


def _of_settings(path: Path, settings: Mapping[str, Any]) -> DecoderSettings | None:
    """What `prompt` in `twopass.json` says."""
    prompt = settings.get("prompt")
    if prompt is None:
        return None
    source = f"{path / 'twopass.json'}: prompt"
    if not isinstance(prompt, dict):
        raise ModelError(f"{source}: {prompt!r} given, an object is needed")
    if "layout" in prompt:
        if prompt["layout"] not in _KNOWN:
            raise ModelError(
                f"{source}.layout: {prompt['layout']!r} given, known are {', '.join(_KNOWN)}"
            )
        known = _KNOWN[prompt["layout"]]
        instruction = prompt.get("instruction", known.layout.instruction)
        layout: PromptLayout | None = replace(known.layout, instruction=instruction)
        return DecoderSettings(
            layout,
            prompt.get("true_token", known.true_token),
            prompt.get("false_token", known.false_token),
            "twopass.json",
        )
    plain, instructed = (_read_pieces(source, prompt, name) for name in ("pieces", "instructed"))
    layout = None
    if plain or instructed:
        layout = PromptLayout(plain or (), instructed, prompt.get("instruction", ""))
        if not plain and not layout.instruction:
            raise ModelError(f"{source}.instruction: empty, and there are no pieces without one")
    return DecoderSettings(
        layout, prompt.get("true_token"), prompt.get("false_token"), "twopass.json"
    )


def _read_pieces(source: str, prompt: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    given = prompt.get(name)
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(piece, str) for piece in given):
        raise ModelError(f"{source}.{name}: {given!r} given, a list of texts is needed")
    pieces = _pieces(*given)
    if problem := _problem_of(pieces, with_instruction=name == "instructed"):
        raise ModelError(f"{source}.{name}: {problem}")
    return pieces


def _problem_of(pieces: Sequence[str], *, with_instruction: bool) -> str:
    """Why pieces are no prompt; empty if they are one."""
    slots = [c for piece in pieces for c in piece if c in _SLOTS.values()]
    for name, slot in _SLOTS.items():
        expected = 1 if slot != INSTRUCTION or with_instruction else 0
        if slots.count(slot) != expected:
            return f"{name} stands in it {slots.count(slot)} times, {expected} is needed"
    if slots.index(QUERY) > slots.index(PASSAGE):
        return "the passage stands before the query, which could not be read once for all passages"
    return ""


def _of_module(path: Path, module: Mapping[str, Any] | None) -> DecoderSettings | None:
    """What sentence-transformers' module `LogitScore` says."""
    if module is None:
        return None
    file = path / str(module.get("path", "")) / "config.json"
    config = _read_json(file)
    if type(config.get("true_token_id")) is not int:
        raise ModelError(
            f"{file}: true_token_id is {config.get('true_token_id')!r}, not a token id"
        )
    return DecoderSettings(
        None, config["true_token_id"], config.get("false_token_id"), "modules.json (LogitScore)"
    )


def _of_name(path: Path, config: Mapping[str, Any]) -> DecoderSettings | None:
    """The known layout of the model that a folder is named after."""
    for name in (str(path.resolve()), str(config.get("_name_or_path", ""))):
        for layout, known in _KNOWN.items():
            if known.names.search(name):
                _logger.warning(
                    "%s: nothing in it tells its prompt; taken to be %s by its name", path, layout
                )
                return DecoderSettings(
                    known.layout, known.true_token, known.false_token, f"the name {layout}"
                )
    return None


def _module(path: Path, kind: str) -> Mapping[str, Any] | None:
    """The entry of a module in `modules.json`; None where there is none of that kind."""
    file = path / "modules.json"
    if not file.exists():
        return None
    modules = json.loads(file.read_text(encoding="utf-8"))
    return next((m for m in modules if str(m.get("type", "")).endswith("." + kind)), None)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file}: holds a {type(content).__name__}, not an object")
    return content


def _optional_json(file: Path) -> dict[str, Any]:
    return _read_json(file) if file.exists() else {}


def _chat_template(path: Path) -> tuple[str, dict[str, Any]] | None:
    """A folder's chat template and what it is rendered with; None without one."""
    config = _optional_json(path / "tokenizer_config.json")
    template = config.get("chat_template")
    if (file := path / "chat_template.jinja").exists():
        template = file.read_text(encoding="utf-8")
    if isinstance(template, list):  # several, by name
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    if not isinstance(template, str):
        return None
    variables = {
        name: token["content"] if isinstance(token, dict) else token
        for name, token in config.items()
        if name.endswith("_token") and isinstance(token, (str, dict))
    }
    sentence_bert = _optional_json(path / "sentence_bert_config.json")
    options = (sentence_bert.get("processing_kwargs") or {}).get("chat_template") or {}
    for name in ("restore_suffix", "padding", "truncation", "max_length", "return_tensors"):
        options.pop(name, None)
    return template, variables | options


def _layout_of(path: Path, template: str, variables: Mapping[str, Any]) -> PromptLayout | None:
    """The prompt that a chat template makes of a query and a passage; None where it makes none.

    As sentence-transformers calls it: with messages of the roles `query` and `document`, and an
    instruction as one of the role `system` before them.
    """
    for structured in (False, True):
        rendered = _rendered(template, variables, QUERY, PASSAGE, "", structured)
        if not _problem_of([rendered], with_instruction=False):
            break
    else:
        return None
    strips = False
    # What a template does with other texts must be what it does with those.
    for query, passage in (("One oak, ", "two\n"), ("\tOne oak", " two"), _LONG_PROBES):
        probe = _rendered(template, variables, query, passage, "", structured)
        if probe != _filled(rendered, query, passage):
            if probe != _filled(rendered, query.strip(), passage.strip()):
                raise ModelError(
                    f"{path}: its chat template does more with texts than to put them in; write "
                    '"prompt" into twopass.json'
                )
            strips = True
    with_instruction = _rendered(template, variables, QUERY, PASSAGE, INSTRUCTION, structured)
    instructed = None
    if not _problem_of([with_instruction], with_instruction=True):
        instructed = (with_instruction,)
    prompts = _optional_json(path / "config_sentence_transformers.json")
    instruction = (prompts.get("prompts") or {}).get(prompts.get("default_prompt_name") or "", "")
    if instruction and instructed is None:
        raise ModelError(
            f"{path}: config_sentence_transformers.json has a default prompt, and the chat "
            "template no place for it (a message of the role system)"
        )
    return PromptLayout((rendered,), instructed, instruction, strips)


def _filled(prompt: str, query: str, passage: str) -> str:
    return prompt.replace(QUERY, query).replace(PASSAGE, passage)


def _rendered(
    template: str,
    variables: Mapping[str, Any],
    query: str,
    passage: str,
    instruction: str,
    structured: bool,
) -> str:
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError as error:
        raise EngineUnavailableError(
            f"a decoder's chat template needs Jinja: {how_to_install('transformers')}"
        ) from error
    texts = {"system": instruction, "query": query, "document": passage}
    messages = [
        {"role": role, "content": [{"type": "text", "text": text}] if structured else text}
        for role, text in texts.items()
        if text
    ]

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    # As transformers renders them.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = raise_exception
    try:
        rendered: str = environment.from_string(template).render(
            **{"add_generation_prompt": False, "tools": None, "documents": None}
            | dict(variables)
            | {"messages": messages}
        )
    except Exception:  # whatever a template's code raises: it is one for other roles
        return ""
    return rendered
