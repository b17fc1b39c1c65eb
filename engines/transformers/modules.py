"""A folder's model as transformers loads it: nothing invented, and no code of the folder run."""

import importlib
import importlib.util
from typing import Any

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import EngineUnavailableError, ModelError, UnsupportedModelError
from twopass.engines.installing import how_to_install
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.labels import num_labels


def find_package(package: str) -> Any:
    """PyTorch or transformers.

    Raises:
        EngineUnavailableError: It is not installed, or does not load.
    """
    if importlib.util.find_spec(package) is None:
        raise EngineUnavailableError(
            f"{package} is not installed: {how_to_install('transformers')}"
        )
    try:
        return importlib.import_module(package)
    except (ImportError, OSError) as error:  # a wheel for another CUDA lacks libraries
        raise EngineUnavailableError(f"{package} does not load ({error})") from error


def load_module(transformers: Any, folder: ModelFolder, dtype: Any) -> Any:
    """The model of a folder, whole.

    Args:
        transformers: The library.
        folder: The folder.
        dtype: Of its weights, PyTorch's.

    Raises:
        UnsupportedModelError: transformers does not know its architecture.
        ModelError: The weights lack a tensor, which transformers would fill with random numbers, or
            the head has other labels than the folder says.
    """
    if folder.spec.kind is ModelKind.ENCODER:
        kind = transformers.AutoModel
    elif folder.decoder is not None and folder.decoder.true_token is not None:
        kind = transformers.AutoModelForCausalLM
    else:
        kind = transformers.AutoModelForSequenceClassification
    try:
        model, found = kind.from_pretrained(
            str(folder.path),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (ValueError, KeyError, ImportError) as error:
        raise UnsupportedModelError(
            f"{folder.path}: transformers {transformers.__version__} does not run it ({error})"
        ) from error
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{folder.path}: transformers can't load it ({error})") from error
    # Of an encoder's pooler nothing is read.
    missing = [name for name in found["missing_keys"] if not name.startswith("pooler.")]
    if missing:
        raise ModelError(
            f"{folder.path}: the weights lack {', '.join(sorted(missing)[:3])} of "
            f"{type(model).__name__}; they are of another model, or incomplete"
        )
    expected = num_labels(folder.relevant_label)
    if kind is transformers.AutoModelForSequenceClassification and model.num_labels != expected:
        raise ModelError(
            f"{folder.path}: the head has {model.num_labels} labels, {expected} expected. If one "
            "of two means relevant, name both in id2label of config.json and say which in "
            'twopass.json: {"relevant_label": 1}'
        )
    return model
