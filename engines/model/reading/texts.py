"""What is done to texts before a model reads them: prefixes, lower case, lengths, token types."""

from collections.abc import Mapping
from typing import Any

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.families import read_architecture
from twopass.engines.model.reading import settings as own
from twopass.engines.model.reading.files import FolderFiles
from twopass.engines.model.reading.modules import Modules
from twopass.engines.model.tokenizing.settings import (
    TokenizerSettings,
    default_input_names,
    special_tokens_of,
    token_of,
)

_TOKENIZER = "tokenizer_config.json"
_SPECIAL_TOKENS = "special_tokens_map.json"
_SENTENCE_CONFIG = "config_sentence_transformers.json"
# sentence-transformers has named the file of a Transformer after its family before.
_TRANSFORMER_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
)
_TRANSFORMER_KEYS = frozenset(
    {
        "max_seq_length",
        "do_lower_case",
        "transformer_task",
        "modality_config",
        "module_output_name",
        "unpad_inputs",  # how a batch is computed, not what
    }
)
_TASKS = ("feature-extraction", "sequence-classification", "text-generation")
# Tokenizers of transformers that set up BERT's normaliser by their configuration, whatever
# tokenizer.json says, and their keys' names in it.
_NORMALIZING = ("Bert", "DistilBert", "Electra", "MPNet", "MobileBert", "LayoutLM")
_NORMALIZER_KEYS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
# Names of prompts, the first of them that is there counts.
_QUERIES, _PASSAGES = ("query",), ("document", "passage", "corpus")
# What tokenizers without a length say is 10^30.
_LONGEST = 10**9


def read_tokenizer_settings(files: FolderFiles) -> TokenizerSettings:
    """Reads `tokenizer_config.json` and what sentence-transformers keeps of its Transformer.

    Raises:
        ModelError: A setting is none that we follow; names it.
    """
    config = files.optional_json(_TOKENIZER)
    marked = files.optional_json(_SPECIAL_TOKENS)
    name = next((n for n in _TRANSFORMER_FILES if (files.path / n).exists()), "")
    transformer = files.optional_json(name) if name else {}
    if name:
        _require_plain(files, name, transformer)
    lengths = [
        (source, length)
        for source, key, length in (
            (name, "max_seq_length", transformer.get("max_seq_length")),
            (_TOKENIZER, "model_max_length", config.get("model_max_length")),
        )
        if length is not None and _length(files, source, key, length) < _LONGEST
    ]
    if config.get("truncation_side", "right") != "right":
        raise files.refuse(
            _TOKENIZER,
            f"truncation_side is {config['truncation_side']!r}, but long texts are cut at their "
            "end; delete the key if that is meant",
        )
    settings = TokenizerSettings(
        lowercase=bool(transformer.get("do_lower_case")),
        normalizer=_normalizer(files, config),
        add_prefix_space=_flag(files, config, "add_prefix_space"),
        bos_token=_around(files, "bos", config, marked),
        eos_token=_around(files, "eos", config, marked),
        max_length=int(lengths[0][1]) if lengths else None,
        input_names=_input_names(files, config),
        special_tokens=special_tokens_of(config, marked),
    )
    if lengths:
        files.note("longest sequence of the tokenizer", settings.max_length, lengths[0][0])
    if settings.lowercase:
        files.note("lower case", "before the tokenizer", name)
    for field, value in settings.normalizer:
        files.note(f"normalizer's {field}", str(value).lower(), _TOKENIZER)
    if settings.input_names is not None:
        files.note("inputs", ", ".join(settings.input_names), _TOKENIZER)
    return settings


def read_max_seq_len(
    files: FolderFiles,
    settings: own.FolderSettings,
    tokenizer: TokenizerSettings,
    config: Mapping[str, Any],
    most: int | None = None,
) -> int:
    """Tokens of the longest sequence: as asked for, but never more than there are positions.

    Args:
        files: Of the transformer.
        settings: `twopass.json`.
        tokenizer: What the folder says of its tokenizer.
        config: `config.json`.
        most: No more than these unless `twopass.json` says so: a decoder's memory.

    Raises:
        ModelError: `twopass.json` asks for more.
    """
    positions, source = _positions(config)
    asked, asker = settings.max_seq_len, own.FILE
    if asked is not None and positions is not None and asked > positions:
        raise files.refuse(
            own.FILE, f"max_seq_len is {asked:,}, the model has {positions:,} positions at most"
        )
    if asked is None:
        asked, asker = tokenizer.max_length, "the tokenizer's length"
        if most is not None and most < (positions or most + 1):
            positions, source = most, "as much as a decoder's memory bears"
    length = min((n for n in (asked, positions) if n is not None), default=512)
    if asked is not None and length == asked:
        source = asker
    elif asked is not None:
        source = f"{source}, less than {asker} of {asked:,}"
    files.note("max_seq_len", f"{length:,}", source)
    return length


def read_prefixes(
    files: FolderFiles,
    settings: own.FolderSettings,
    kind: ModelKind,
    modules: Modules,
    *,
    is_decoder: bool = False,
) -> tuple[str, str]:
    """What stands before every query, and before every passage.

    Raises:
        ModelError: The prompts of a reranker, or a prefix that is not pooled: no engine does that.
    """
    config = files.optional_json(_SENTENCE_CONFIG)
    prompts = _prompts(files, config)
    default = config.get("default_prompt_name")
    if kind is ModelKind.RERANKER:
        if prompts.get(default or "") and not is_decoder:  # a decoder's is its instruction
            raise files.refuse(
                _SENTENCE_CONFIG,
                f"default_prompt_name is {default!r}: a reranker with a head reads pairs without",
            )
        return "", ""
    query = _prefix(files, settings.query_prefix, "query_prefix", prompts, _QUERIES)
    passage = _prefix(files, settings.passage_prefix, "passage_prefix", prompts, _PASSAGES)
    others = {name for name, prompt in prompts.items() if prompt} - {*_QUERIES, *_PASSAGES}
    if others and settings.query_prefix is None and settings.passage_prefix is None:
        files.warn(
            f"{_SENTENCE_CONFIG}: of the prompts, {', '.join(sorted(others))} stand before neither "
            f"queries nor passages; say query_prefix and passage_prefix in {own.FILE} if they "
            "should"
        )
    if (query or passage) and not modules.includes_prompt:
        raise files.refuse(
            modules.pooling_source,
            "include_prompt is false: pooling without the prefix's tokens is not computed",
        )
    return query, passage


def read_prompts(
    files: FolderFiles, modules: Modules, *, query_prefix: str, passage_prefix: str
) -> dict[str, str]:
    """Texts that a request may ask to have put before its own, by name; an encoder's.

    Those of sentence-transformers, and what stands before queries and passages as "query" and
    "passage". There are none where pooling would have to leave their tokens out.
    """
    if not modules.includes_prompt:
        return {}
    prompts = _prompts(files, files.optional_json(_SENTENCE_CONFIG))
    prefixes = {"query": query_prefix, "passage": passage_prefix}
    return prompts | {name: prefix for name, prefix in prefixes.items() if prefix}


def read_similarity(files: FolderFiles, modules: Modules) -> None:
    """Notes that embeddings are normalised, and warns where a model was not made for that."""
    given = files.optional_json(_SENTENCE_CONFIG).get("similarity_fn_name")
    name = given or "cosine"
    source = "modules.json" if modules.normalizes else "always so; the folder has no Normalize"
    files.note("normalised", "yes", source)
    files.note("similarity", name, _SENTENCE_CONFIG if given else "nothing says another")
    if name in ("dot", "manhattan") and not modules.normalizes:
        files.warn(
            f"{_SENTENCE_CONFIG}: similarity_fn_name is {name!r} of embeddings that are not "
            "normalised; here they are, and neighbours by cosine are others: expect worse orders, "
            "or choose the model's sibling for cosine"
        )


def _require_plain(files: FolderFiles, name: str, config: Mapping[str, Any]) -> None:
    files.require_known(name, config, _TRANSFORMER_KEYS)
    task = config.get("transformer_task", "feature-extraction")
    if task not in _TASKS:
        raise files.refuse(name, f"transformer_task is {task!r}, known are {', '.join(_TASKS)}")
    text = (config.get("modality_config") or {}).get("text") or {}
    output = text.get("method_output_name", "last_hidden_state")
    if output not in ("last_hidden_state", "logits"):
        raise files.refuse(
            name, f"method_output_name is {output!r}, last_hidden_state and logits are computed"
        )


def _length(files: FolderFiles, source: str, key: str, value: Any) -> float:
    if type(value) not in (int, float) or value < 1:
        raise files.refuse(source, f"{key} is {value!r}, a whole number of at least 1 is needed")
    return float(value)


def _flag(files: FolderFiles, config: Mapping[str, Any], key: str) -> bool | None:
    value = config.get(key)
    if value is not None and not isinstance(value, bool):
        raise files.refuse(_TOKENIZER, f"{key} is {value!r}, true or false is needed")
    return value


def _around(
    files: FolderFiles, name: str, config: Mapping[str, Any], marked: Mapping[str, Any]
) -> str:
    """The token that begins or ends every text, where that is asked for."""
    if not _flag(files, config, f"add_{name}_token"):
        return ""
    token = token_of(f"{name}_token", config, marked)
    if token:
        files.note(f"add_{name}_token", token, _TOKENIZER)
    return token


def _input_names(files: FolderFiles, config: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = config.get("model_input_names")
    if names is None:
        return default_input_names(config.get("tokenizer_class"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise files.refuse(_TOKENIZER, f"model_input_names is {names!r}, a list of names is needed")
    return tuple(names)


def _normalizer(
    files: FolderFiles, config: Mapping[str, Any]
) -> tuple[tuple[str, bool | None], ...]:
    """Fields in which `tokenizer_config.json` overrides `tokenizer.json`, as transformers does."""
    owner = str(config.get("tokenizer_class") or "").removesuffix("Fast").removesuffix("Tokenizer")
    found = files.json("tokenizer.json").get("normalizer") or {}
    if owner not in _NORMALIZING or found.get("type") != "BertNormalizer":
        return ()
    return tuple(
        (field, config[key])
        for key, field in _NORMALIZER_KEYS.items()
        if key in config and config[key] in (True, False, None) and config[key] != found.get(field)
    )


def _positions(config: Mapping[str, Any]) -> tuple[int | None, str]:
    try:
        return read_architecture(config).max_seq_len, "config.json (positions)"
    except UnsupportedModelError:
        positions = config.get("max_position_embeddings")
        return (positions if type(positions) is int else None), "config.json (positions)"


def _prompts(files: FolderFiles, config: Mapping[str, Any]) -> dict[str, str]:
    given = config.get("prompts") or {}
    if not isinstance(given, dict) or not all(isinstance(p, str | None) for p in given.values()):
        raise files.refuse(_SENTENCE_CONFIG, f"prompts is {given!r}, texts by name are needed")
    default = config.get("default_prompt_name")
    if default is not None and default not in given:
        raise files.refuse(
            _SENTENCE_CONFIG,
            f"default_prompt_name is {default!r}, prompts has {', '.join(given) or 'none'}",
        )
    return {name: prompt or "" for name, prompt in given.items()}


def _prefix(
    files: FolderFiles,
    given: str | None,
    setting: str,
    prompts: Mapping[str, str],
    names: tuple[str, ...],
) -> str:
    """`twopass.json`'s, or the first prompt of these names."""
    if given is not None:
        files.note(setting, repr(given), own.FILE)
        return given
    name = next((name for name in names if name in prompts), None)
    if name is None:
        files.note(setting, "none", "nothing says one")
        return ""
    files.note(setting, repr(prompts[name]), f"{_SENTENCE_CONFIG} (prompts: {name})")
    return prompts[name]
