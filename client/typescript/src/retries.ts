import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

import { TwopassError } from "./errors.js";
import { OnConflict } from "./gen/twopass/v1/collection_pb.js";

/** How calls that fail are tried again. */
export interface RetryOptions {
  /** How often a call is tried in all, at least once. 4 unless said otherwise. */
  attempts?: number;
  /** Longest wait before another try, in milliseconds; where the server asks for a longer one, its error is thrown. 2,000 unless said otherwise. */
  maxDelayMs?: number;
}

// Writes that may be made twice, since the second time they change nothing.
const REPEATABLE = new Set(["UpsertDocuments", "DeleteDocuments", "UpdateMetadata", "UpdateAliases"]);
const FIRST_DELAY_MS = 100;

/**
 * Tries calls again that the server had no room for or did not reach, after as long as it asks for (`RetryInfo`).
 *
 * A refusal for overload has done nothing, so that every call may be made again. What failed on the way may have
 * taken effect: then only calls are repeated that do not mind, and never streams.
 */
export function retries({ attempts = 4, maxDelayMs = 2000 }: RetryOptions = {}): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return await next(request);
    const repeatable =
      request.method.idempotency === Idempotency.NO_SIDE_EFFECTS ||
      (REPEATABLE.has(request.method.name) && !mustBeNew(request.message));
    for (let attempt = 1; ; attempt++) {
      try {
        return await next(request);
      } catch (thrown) {
        const delay = delayOf(TwopassError.from(thrown), attempt, repeatable);
        if (attempt >= attempts || delay === undefined || delay > maxDelayMs) throw thrown;
        await sleep(delay, request.signal);
      }
    }
  };
}

/** Whether a write fails where it was made before. */
function mustBeNew(message: object): boolean {
  return "onConflict" in message && message.onConflict === OnConflict.FAIL;
}

/** Milliseconds until the next try; undefined where there is to be none. */
function delayOf(error: TwopassError, attempt: number, repeatable: boolean): number | undefined {
  const overloaded = error.code === Code.ResourceExhausted && error.retryAfterMs !== undefined;
  const unavailable = error.code === Code.Unavailable && repeatable;
  if (!overloaded && !unavailable) return undefined;
  const least = error.retryAfterMs ?? FIRST_DELAY_MS * 2 ** (attempt - 1);
  return least * (1 + Math.random() / 4); // so that those refused together do not come back together
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(ConnectError.from(signal.reason, Code.Canceled));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", end);
      resolve();
    }, milliseconds);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
