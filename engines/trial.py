"""Lengths are tried, not believed: what an engine does with the longest text and the largest batch.

A folder may promise more tokens than its model has positions, an exported graph may give another
output than its name says, a device may have no room for the batches that it will get. All of that
is found here, before the server answers, rather than by the first long passage.
"""

import logging
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import cast

import numpy as np

from twopass.engines.base.engine import Engine
from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.base.sequences import (
    Float32s,
    Int32s,
    PairTemplate,
    Ragged,
    SingleTemplate,
    TokenBatch,
)
from twopass.engines.base.tokenizer import TextTokenizer, Tokenizer
from twopass.engines.errors import EngineError, InputTooLongError, UnsupportedModelError

_logger = logging.getLogger("twopass.engines")

# By the speed of a short batch, no batch is tried that would take longer. Models of 512 positions
# stay far below it everywhere; those of 8,192 on a slow processor are tried at what fits.
_LONGEST_SECONDS = 5.0
# An engine that has not answered by then never will. Engines that compile do so before.
_ANSWER_SECONDS = 300.0
_SHORT_ROWS, _SHORT_TOKENS = 4, 64
# Tokens at which attention takes about as long as the rest of a layer of 384 to 768 components.
_ATTENTION_TOKENS = 2_048
# An embedding's norm is 1 as far as the type it is computed in allows: 8 bits of bfloat16.
_NORM_TOLERANCE = 0.02
# Real words, so that positions that are counted from real tokens are those of a text.
_TEXT = (
    "In 1928 Alexander Fleming, back from a holiday, found a mould on one of his plates: around it "
    "no bacteria grew. Was it chance? Il n'y a pas de hasard, dit-on; \u4e2d\u6587\u3002 "
)


def tried(engine: Engine, spec: ModelSpec, tokenizer: Tokenizer) -> Engine:
    """An engine that has computed what it will be asked for; a failing one is closed.

    Args:
        engine: Just built.
        spec: Its model.
        tokenizer: The model's.

    Raises:
        UnsupportedModelError: It fails at a length that it promises, or what it gives is no output
            of such a model; says at which length, and the way out.
    """
    trial = _Trial(engine, spec, tokenizer)
    began = time.perf_counter()
    try:
        trial.run()
    except BaseException:
        if not trial.hangs:
            with suppress(Exception):  # the error of the trial says more
                engine.close()
        raise
    _logger.info(
        "lengths tried",
        extra={
            "model": spec.id,
            "engine": engine.info.engine,
            "longest": trial.longest,
            "max_seq_len": trial.max_seq_len,
            "batch_tokens": trial.batch_tokens,
            "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
        },
    )
    return engine


class _Trial:
    """One engine's trial.

    Attributes:
        max_seq_len: The longest sequence that the server would send, in tokens.
        longest: The longest sequence tried.
        batch_tokens: Tokens of the largest batch tried.
        hangs: Whether a batch was not answered.
    """

    def __init__(self, engine: Engine, spec: ModelSpec, tokenizer: Tokenizer) -> None:
        self.max_seq_len = min(spec.max_seq_len, engine.info.max_seq_len)
        self.longest = self.batch_tokens = 0
        self.hangs = False
        self._engine = engine
        self._spec = spec
        if spec.kind is ModelKind.ENCODER:
            around: SingleTemplate | PairTemplate = cast("TextTokenizer", tokenizer).single
        else:
            around = tokenizer.template
        self._around = around
        self._words = _words(tokenizer)

    def run(self) -> None:
        """Tries a short batch, the longest sequence, and the largest batch of such."""
        short = self._batch(_SHORT_ROWS, min(_SHORT_TOKENS, self.max_seq_len))
        # The first batch may allocate and compile.
        seconds = min(self._seconds_of(short) for _ in range(2))
        token_seconds = seconds / short.num_tokens
        self.longest = self._longest_in_time(token_seconds)
        self._seconds_of(self._batch(1, self.longest))
        self.batch_tokens = self.longest
        row_seconds = self.longest * _seconds_a_token(token_seconds, self.longest)
        num_rows = min(
            self._largest(token_seconds) // self.longest,
            int(_LONGEST_SECONDS / row_seconds) if row_seconds > 0 else 1,
        )
        if num_rows > 1:
            self._seconds_of(self._batch(num_rows, self.longest))
            self.batch_tokens = num_rows * self.longest

    def _longest_in_time(self, token_seconds: float) -> int:
        length = self.max_seq_len
        while (
            length > _SHORT_TOKENS
            and length * _seconds_a_token(token_seconds, length) > _LONGEST_SECONDS
        ):
            length //= 2
        if length < self.max_seq_len:
            _logger.warning(
                "tried to %d of %d tokens: more would take over %g s on this machine",
                length,
                self.max_seq_len,
                _LONGEST_SECONDS,
                extra={"model": self._spec.id, "engine": self._engine.info.engine},
            )
        return length

    def _largest(self, token_seconds: float) -> int:
        """Tokens of the largest batch that the engine is given; see `EngineInfo`."""
        info = self._engine.info
        if token_seconds <= 0 or info.batch_seconds / token_seconds >= info.max_batch_tokens:
            return info.max_batch_tokens
        in_time = int(info.batch_seconds / token_seconds)
        return min(max(in_time, info.min_batch_tokens), info.max_batch_tokens)

    def _batch(self, num_rows: int, length: int) -> TokenBatch:
        """Rows of real words, each beginning at another one, so that none is as the row before."""
        prefix, suffix = list(self._around.prefix), list(self._around.suffix)
        inner = max(length - len(prefix) - len(suffix), 0)
        rows = []
        for row in range(num_rows):
            words = np.resize(np.roll(self._words, -row), inner)
            rows.append(np.concatenate([prefix, words, suffix])[:length].astype(np.int32))
        ragged = Ragged.from_rows(rows)
        # Of a pair without token types all are of type 0, as of a single text.
        is_typed = isinstance(self._around, PairTemplate) and self._around.passage_type == 1
        query_length = length // 4 if is_typed else length
        return TokenBatch(
            ragged.token_ids, ragged.offsets, np.full(num_rows, query_length, np.int32)
        )

    def _seconds_of(self, batch: TokenBatch) -> float:
        """Computes a batch, and checks what comes out."""
        length = int(batch.lengths[0])
        what = f"{len(batch)} sequence{'s' if len(batch) > 1 else ''} of {length:,} tokens"
        began = time.perf_counter()
        try:
            output = self._engine.submit(batch).result(_ANSWER_SECONDS)
        except FutureTimeoutError as error:
            self.hangs = True
            raise self._failure(
                f"did not answer {what} in {_ANSWER_SECONDS:g} s", "take another engine"
            ) from error
        except InputTooLongError as error:
            raise self._failure(f"refuses {what} ({error})", _SHORTER) from error
        except EngineError as error:
            raise self._failure(f"fails at {what} ({error})", _SMALLER) from error
        except Exception as error:  # whatever the library below it raises
            reason = str(error).splitlines()[0] if str(error) else repr(error)
            raise self._failure(f"fails at {what} ({reason})", _SHORTER) from error
        seconds = time.perf_counter() - began
        self._check(output, len(batch), what)
        return seconds

    def _check(self, output: Float32s, num_rows: int, what: str) -> None:
        width = self._engine.output_width
        is_pair = self._spec.kind is ModelKind.RERANKER
        wanted = (num_rows,) if is_pair else (num_rows, width)
        if output.shape != wanted:
            raise self._failure(
                f"gives an array of shape {list(output.shape)} for {what}, {list(wanted)} is "
                f"needed of {self._spec.kind.value}s",
                _OTHER_OUTPUT,
            )
        if not np.isfinite(output).all():
            raise self._failure(f"gives values that are no numbers for {what}", _PRECISE)
        if is_pair:
            return
        norms = np.linalg.norm(output, axis=1)
        worst = float(norms[np.argmax(np.abs(norms - 1))])
        if abs(worst - 1) > _NORM_TOLERANCE:
            raise self._failure(
                f"gives embeddings of norm {worst:.3g} for {what}, they must have norm 1",
                _OTHER_OUTPUT,
            )

    def _failure(self, problem: str, way_out: str) -> UnsupportedModelError:
        engine = self._engine.info.engine
        return UnsupportedModelError(f"{self._spec.id}: the engine {engine} {problem}; {way_out}")


_SHORTER = (
    "set max_seq_len in the folder's twopass.json to the length that the model was made for, or "
    "take another engine"
)
_SMALLER = "give the device more memory, set a smaller max_seq_len, or take another engine"
_OTHER_OUTPUT = "export the model anew, or take another engine"
_PRECISE = "take --precision f32 or bf16, or another engine"


def _seconds_a_token(token_seconds: float, length: int) -> float:
    """Seconds a token in sequences of a length: attention grows with it."""
    return token_seconds * (1 + length / _ATTENTION_TOKENS)


def _words(tokenizer: Tokenizer) -> Int32s:
    ids = tokenizer.encode([_TEXT], 1_024)[0]
    return np.asarray(ids if len(ids) else [tokenizer.pad_id], np.int32)
