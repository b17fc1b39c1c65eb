"""What a publisher's library gives for a folder: float32 on the CPU, over a dozen texts.

sentence-transformers where it is installed, which reads a folder's modules as we do. transformers
alone tells as much of rerankers, and of encoders with plain pooling.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s
from twopass.engines.errors import EngineError, EngineUnavailableError
from twopass.engines.installing import pip_install
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.labels import relevance
from twopass.engines.model.pooling import Pooling
from twopass.engines.transformers.modules import find_package, load_module

QUERY = "how did Fleming find penicillin?"
# Lengths, scripts, cases and spellings that tokenizers differ in.
PASSAGES = (
    "In 1928 Alexander Fleming came back from a holiday and found a mould on one of his plates.",
    "Around the mould no bacteria grew: it made what he called penicillin.",
    "Penicillin.",
    "The Eiffel Tower is 330 metres tall and was finished in 1889.",
    "A Dutch oven is a thick-walled cooking pot with a tight-fitting lid.",
    "ALL CAPITALS AND numb3rs 4711, e-mail@example.org, https://example.org/a?b=c",
    "Die Entdeckung des Penizillins veränderte die Medizin; Größe zählt nicht.",
    "La pénicilline fut découverte par hasard, dit-on, à l'hôpital Saint Mary.",
    "青霉素是亚历山大·弗莱明在1928年发现的。",
    "Пенициллин был открыт Александром Флемингом.",
    "It was, he wrote, by chance that a spore had drifted in, and by chance that he looked. " * 6,
    "  spaces \t tabs\nand lines  ",
)
_BEST_LIBRARY = "sentence-transformers"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a library computed.

    Attributes:
        library: Its name and version.
        outputs: Logits of the passages with the query, or embeddings of the query and of the
            passages.
    """

    library: str
    outputs: NDArray[np.float32]


def reference(folder: ModelFolder) -> Reference | str:
    """What another library gives for the same texts, or why there is nothing to compare."""
    if folder.decoder is not None:
        return "a decoder runs in transformers itself"
    if not folder.weight_files:
        return "there is only an exported graph"
    # Of two labels sentence-transformers gives both scores, each by itself.
    of_modules = None if folder.relevant_label is not None else _sentence_transformers()
    library = of_modules or "transformers"
    try:
        if of_modules is not None:
            outputs = _by_modules(of_modules, folder)
            return Reference(f"sentence-transformers {of_modules.__version__}", outputs)
        torch, transformers = find_package("torch"), find_package("transformers")
        library = transformers
        outputs = _by_transformers(torch, transformers, folder)
        return Reference(f"transformers {transformers.__version__}", outputs)
    except EngineUnavailableError:
        return (
            "neither sentence-transformers nor transformers is installed: "
            f"{pip_install(_BEST_LIBRARY)}"
        )
    except EngineError as error:
        return f"transformers alone does not compute it ({error}); {pip_install(_BEST_LIBRARY)}"
    except Exception as error:  # whatever another library can fail with
        name = getattr(library, "__name__", str(library)).replace("_", "-")
        return f"{name} does not read the folder ({error})"


def _sentence_transformers() -> Any:
    """The library; None where it is not installed."""
    try:
        import sentence_transformers
    except ImportError:
        return None
    return sentence_transformers


def _by_modules(library: Any, folder: ModelFolder) -> Float32s:
    spec, path = folder.spec, str(folder.root)
    if spec.kind is ModelKind.RERANKER:
        torch = find_package("torch")
        pairs = [(QUERY, passage) for passage in PASSAGES]
        scorer = library.CrossEncoder(path, device="cpu")
        scorer.float()  # files of float16 are loaded as such
        logits = scorer.predict(pairs, activation_fn=torch.nn.Identity())
        return np.asarray(logits, np.float32).reshape(-1)
    encoder = library.SentenceTransformer(path, device="cpu")
    encoder.float()
    # Prefixes are told, so that both read the same texts whatever names the prompts have.
    query = encoder.encode([QUERY], prompt=spec.query_prefix, normalize_embeddings=True)
    passages = encoder.encode(list(PASSAGES), prompt=spec.passage_prefix, normalize_embeddings=True)
    return np.concatenate([query, passages]).astype(np.float32)


def _by_transformers(torch: Any, transformers: Any, folder: ModelFolder) -> Float32s:
    """One text or pair after the other, without padding.

    Raises:
        UnsupportedModelError: An encoder's head is more than a mean or the first token's vector, or
            transformers does not know the architecture.
    """
    spec = folder.spec
    is_reranker = spec.kind is ModelKind.RERANKER
    pooling = None if is_reranker else folder.head.simple_pooling
    model = load_module(transformers, folder, torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(folder.path), local_files_only=True, trust_remote_code=False
    )
    known = inspect.signature(model.forward).parameters

    def output(*texts: str) -> Any:
        if folder.tokenizer_settings.lowercase:  # sentence-transformers' own, beside the tokenizer
            texts = tuple(text.lower() for text in texts)
        inputs = tokenizer(
            *texts, truncation=True, max_length=spec.max_seq_len, return_tensors="pt"
        )
        with torch.inference_mode():
            return model(**{name: each for name, each in inputs.items() if name in known})

    if is_reranker:
        labels = np.concatenate([output(QUERY, passage).logits.numpy() for passage in PASSAGES])
        logits: Float32s = relevance(labels, folder.relevant_label)
        return logits
    texts = [spec.query_prefix + QUERY, *(spec.passage_prefix + passage for passage in PASSAGES)]
    embeddings = []
    for text in texts:
        vectors = output(text).last_hidden_state[0].numpy()
        pooled = vectors[0] if pooling is Pooling.CLS else vectors.mean(axis=0)
        embeddings.append(pooled / np.linalg.norm(pooled))
    return np.array(embeddings, np.float32)
