"""Folders of small decoders with random weights, and a byte-level tokenizer like Qwen's.

Tokenizers and prompts need neither PyTorch nor transformers: a model imports them.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

# The pre-tokenizer of Qwen2 and Qwen3.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<bos>"]
_CONTROL = ["<think>", "</think>"]
_CORPUS = [
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".',
    "Given a web search query, retrieve relevant passages that answer the query",
    "What is the capital of France? Paris is the capital of France.\n",
    "query: document: instruction: A: B: Yes No yes no 0 1 <Query>: <Document>: <Instruct>:",
    "The quick brown fox jumps over the lazy dog. Is it quick?\nIt is; it was, they're here!\n\n",
] * 20

TEMPLATE = """<|im_start|>system
Judge whether the Document meets the requirements based on the Query and the Instruct provided. \
Note that the answer can only be "yes" or "no".<|im_end|>
<|im_start|>user
<Instruct>: {{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first \
| default("Given a web search query, retrieve relevant passages that answer the query") }}
<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}
<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") \
| first }}<|im_end|>
<|im_start|>assistant
<think>

</think>

{{ "" }}"""


def save_tokenizer(path: Path) -> None:
    """A byte-level BPE tokenizer with Qwen's words, special tokens and control tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.add_special_tokens(_SPECIAL)
    tokenizer.add_tokens(_CONTROL)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
    }
    (path / "tokenizer_config.json").write_text(json.dumps(config))


_SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 96,
    "vocab_size": 640,
    "max_position_embeddings": 1024,
    "initializer_range": 0.3,
    "pad_token_id": 600,
}


def save_model(path: Path, family: str = "Qwen3", task: str = "ForCausalLM", **shape: Any) -> Any:
    """A model of a family with random weights; it is also returned."""
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    torch.manual_seed(7)
    if task == "ForSequenceClassification":
        shape.setdefault("num_labels", 1)
    text = "Text" if family == "Gemma3" else ""
    config = getattr(transformers, f"{family}{text}Config")(**_SHAPE | shape)
    model = getattr(transformers, f"{family}{task}")(config).eval()
    model.save_pretrained(path)
    return model


def save_prompt(path: Path) -> None:
    """What sentence-transformers writes beside Qwen3-Reranker: chat template and LogitScore."""
    save_tokenizer(path)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    (path / "chat_template.jinja").write_text(TEMPLATE)
    module = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_LogitScore", "type": module},
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_LogitScore").mkdir()
    tokens = {
        f"{name}_token_id": tokenizer.encode(text).ids[0]
        for name, text in (("true", "yes"), ("false", "no"))
    }
    (path / "1_LogitScore" / "config.json").write_text(json.dumps(tokens))


def save_qwen3_reranker(path: Path, **shape: Any) -> Any:
    """A whole folder; the model is also returned."""
    save_prompt(path)
    return save_model(path, **shape)


QUERY_PROMPT = "Instruct: Given a web search query, retrieve relevant passages\nQuery:"


def save_qwen3_embedding(path: Path, **shape: Any) -> Any:
    """A folder as sentence-transformers writes it of Qwen3-Embedding: the last token's vector.

    Returns:
        The decoder, without its head.
    """
    save_tokenizer(path)
    end = "<|endoftext|>"
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.post_processor = TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B {end}", special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    model = save_model(path, task="Model", **shape)
    of = "sentence_transformers.models."
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    (path / "1_Pooling").mkdir()
    files = {
        "modules.json": [
            {"idx": i, "name": str(i), "path": folder, "type": of + kind}
            for i, (folder, kind) in enumerate(modules)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": 64,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_lasttoken": True,
        },
        "config_sentence_transformers.json": {"prompts": {"query": QUERY_PROMPT, "document": ""}},
        "config.json": json.loads((path / "config.json").read_text())
        | {"architectures": ["Qwen3ForCausalLM"]},
    }
    for name, content in files.items():
        (path / name).write_text(json.dumps(content))
    return model
