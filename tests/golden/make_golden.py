"""Makes the golden numbers: logits and embeddings of the default models by transformers and torch.

Run once, outside the test suite, where torch and transformers are installed:

    python tests/golden/make_golden.py models tests/golden/golden.json

The texts are written here, so that the numbers depend on nothing else.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

QUERIES = [
    "How do I parse a date from a string?",
    "capital of Australia",
    "Why is the sky blue?",
]
PASSAGES = [
    "datetime.strptime(date_string, format) returns a datetime corresponding to date_string, "
    "parsed according to format.",
    "Canberra is the capital city of Australia. Founded following the federation of the colonies.",
    "Rayleigh scattering of sunlight by molecules of the air favours short wavelengths.",
    "Ok.",
    "The naïve café's Zürich branch sells crème brûlée; 東京 too — for 3,50 € (or £2.99)!",
    "A very long passage. " * 120,
]


def main(models: Path, output: Path) -> None:
    """Computes everything in float32 on the CPU and writes it as JSON."""
    torch.manual_seed(0)
    reranker = AutoModelForSequenceClassification.from_pretrained(
        models / "twopass-minilm-l6", dtype=torch.float32
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(models / "twopass-minilm-l6")
    logits, pair_ids = [], []
    for query in QUERIES:
        for passage in PASSAGES:
            pair = tokenizer(
                query, passage, truncation="only_second", max_length=512, return_tensors="pt"
            )
            pair_ids.append(pair["input_ids"][0].tolist())
            with torch.no_grad():
                logits.append(reranker(**pair).logits[0, 0].item())
    encoder = AutoModel.from_pretrained(models / "all-MiniLM-L6-v2", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(models / "all-MiniLM-L6-v2")
    embeddings = []
    for text in QUERIES + PASSAGES:
        tokens = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            pooled = encoder(**tokens).last_hidden_state[0].mean(dim=0)
        embedding = torch.nn.functional.normalize(pooled, dim=0)
        embeddings.append([round(x, 7) for x in embedding.tolist()])
    content = {
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "queries": QUERIES,
        "passages": PASSAGES,
        "logits": [round(x, 6) for x in logits],
        "pair_ids": pair_ids,
        "embeddings": embeddings,
    }
    output.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
