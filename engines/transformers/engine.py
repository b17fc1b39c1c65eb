"""The engine over transformers' AutoModel: decoders as rerankers, and what else it runs."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from twopass._core import available_cpus
from twopass.engines.base.engine import EngineInfo, PackedLayout, PaddedLayout, Precision
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import (
    DeviceError,
    EngineUnavailableError,
    InputTooLongError,
    OutOfDeviceMemoryError,
    UnsupportedModelError,
)
from twopass.engines.model.decoder import DecoderSettings
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.folder import ModelFolder
from twopass.engines.transformers.decoding import (
    Bounds,
    Computed,
    Decoding,
    causal_head,
    classifier_head,
)
from twopass.engines.transformers.modules import find_package, load_module
from twopass.engines.transformers.padded import Padded

_MIB = 1024 * 1024
# A launch of 8,192 tokens fills a GPU. A token of a decoder of 0.6 B parameters (28 layers of 8
# heads of 128 numbers) takes 115 kB in fp16, so that prefixes of some 9,000 tokens are kept.
_GPU_BOUNDS = Bounds(launch_tokens=8_192, attended_tokens=65_536, prefix_bytes=1_024 * _MIB)
_CPU_BOUNDS = Bounds(launch_tokens=1_024, attended_tokens=16_384, prefix_bytes=256 * _MIB)
_GPU_BATCH_TOKENS, _CPU_BATCH_TOKENS = 32_768, 8_192
_MIN_BATCH_TOKENS = 512
_BATCH_SECONDS = 0.5
_BUCKET_STEP = 16


class TransformersEngine:
    """A model of transformers and the one thread that runs it; an `Engine`."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        device: str = "",
        precision: Precision | None = None,
        num_threads: int = 0,
    ) -> None:
        """Loads the weights.

        Args:
            folder: The model.
            device: "cuda", "cuda:1", …, or "cpu"; "" takes a GPU where PyTorch sees one.
            precision: `Precision.BF16` or `Precision.F32`; None takes f32 on a CPU, on a GPU bf16
                for weights that are published in it and fp16 for others.
            num_threads: Threads of one forward pass on a CPU; 0 takes one for each CPU available.

        Raises:
            EngineUnavailableError: PyTorch, transformers or the GPU is missing; says which.
            UnsupportedModelError: transformers does not run it without code from its folder.
            ModelError: A tensor is missing, or the head has other labels than the folder says.
        """
        torch, transformers = find_package("torch"), find_package("transformers")
        if not folder.weight_files:
            raise UnsupportedModelError(
                f"{folder.path}: no safetensors, which the engine transformers reads"
            )
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise EngineUnavailableError(f"PyTorch {torch.__version__} sees no NVIDIA GPU")
        target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        is_gpu = target.type == "cuda"
        label = _precision(folder, precision, is_gpu=is_gpu)
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[label]
        self._torch = torch
        is_reranker = folder.spec.kind is ModelKind.RERANKER
        model = load_module(transformers, folder, dtype).to(target).eval()
        bounds = _GPU_BOUNDS if is_gpu else _CPU_BOUNDS
        self._decoding: Decoding | None = None
        self._compute: Callable[[TokenBatch], Float32s]
        longest = folder.spec.max_seq_len
        if is_reranker and folder.decoder is not None:
            head = (
                classifier_head(torch, model, folder.relevant_label)
                if folder.decoder.true_token is None
                else causal_head(torch, model, *_token_ids(folder, folder.decoder))
            )
            self._decoding = Decoding(torch, head, target, bounds)
            self._compute = self._decoding.logits
            layout: PackedLayout | PaddedLayout = PackedLayout()
        else:
            padded = Padded(torch, model, folder, target, bounds.launch_tokens)
            self._compute = padded.outputs
            layout = PaddedLayout((*range(_BUCKET_STEP, longest, _BUCKET_STEP), longest))
        width = int(model.config.get_text_config().hidden_size)
        self.output_width = 1 if is_reranker else folder.head.output_width(width)
        self.info = EngineInfo(
            engine="transformers",
            precision=label,
            device=torch.cuda.get_device_name(target) if is_gpu else "CPU",
            max_seq_len=longest,
            layout=layout,
            max_batch_tokens=max(_GPU_BATCH_TOKENS if is_gpu else _CPU_BATCH_TOKENS, longest),
            max_in_flight=2 if is_gpu else 1,
            batch_seconds=_BATCH_SECONDS,
            min_batch_tokens=_MIN_BATCH_TOKENS,
        )
        threads = num_threads or available_cpus()
        self._worker = ThreadPoolExecutor(
            1,
            thread_name_prefix=f"transformers-{folder.spec.id}",
            initializer=lambda: torch.set_num_threads(threads),
        )

    @property
    def computed(self) -> Computed:
        """What a decoder was given and what it computed of it; zeros for other models."""
        return self._decoding.computed if self._decoding is not None else Computed()

    @property
    def num_shared_tokens(self) -> int:
        """Tokens submitted and not computed, since others began with the same."""
        return self.computed.num_given - self.computed.num_computed

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for one forward pass; see `engines.base`."""
        return self._worker.submit(self._run, batch)

    def close(self) -> None:
        """Finishes what was submitted, and frees the prefixes kept."""
        self._worker.shutdown()
        if self._decoding is not None:
            self._decoding.forget()

    def _run(self, batch: TokenBatch) -> Float32s:
        longest = int(batch.lengths.max(initial=1))
        if longest > self.info.max_seq_len:
            raise InputTooLongError(longest, self.info.max_seq_len)
        torch = self._torch
        try:
            return self._compute(batch)
        except torch.OutOfMemoryError as error:
            if self._decoding is not None:
                self._decoding.forget()
            torch.cuda.empty_cache()
            raise OutOfDeviceMemoryError(str(error)) from error
        except torch.AcceleratorError as error:  # the context does not survive it
            raise DeviceError(str(error)) from error


def _precision(folder: ModelFolder, precision: Precision | None, *, is_gpu: bool) -> str:
    if precision is Precision.BF16:
        return "bf16"
    if precision is Precision.F32 or not is_gpu:
        return "f32"
    published = folder.config.get("dtype") or folder.config.get("torch_dtype")
    return "bf16" if published == "bfloat16" else "fp16"


def _token_ids(folder: ModelFolder, settings: DecoderSettings) -> tuple[int, int | None]:
    assert settings.layout is not None
    assert settings.true_token is not None
    tokenizer = DecoderTokenizer(folder.tokenizer, settings.layout)
    false = settings.false_token
    return (
        tokenizer.token_id(settings.true_token),
        None if false is None else tokenizer.token_id(false),
    )
