import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorInfoSchema, RetryInfoSchema, type Status } from "./gen/twopass/v1/status_pb.js";

const ERROR_INFO = "google.rpc.ErrorInfo";
const RETRY_INFO = "google.rpc.RetryInfo";

/** A call that failed. What it stems from is its `cause`. */
export class TwopassError extends Error {
  override readonly name = "TwopassError";
  /** The status, as in `Code.NotFound`. */
  readonly code: Code;
  /** The cause for programs, as in "COLLECTION_NOT_FOUND", which never changes; "" where the server did not say it. */
  readonly reason: string;
  /**
   * What the message says in words: `field`, `limit`, `value`, `limit_name`, `collection`, `document`, `snapshot`,
   * `model`, `chunk`, as far as it is known.
   */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds after which another try may succeed, where the server said so. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    code: Code,
    details: Iterable<{ type: string; value: Uint8Array }> = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    let reason = "";
    let metadata: Record<string, string> = {};
    let retryAfterMs: number | undefined;
    for (const { type, value } of details) {
      try {
        if (type === ERROR_INFO) {
          ({ reason, metadata } = fromBinary(ErrorInfoSchema, value));
        } else if (type === RETRY_INFO) {
          const delay = fromBinary(RetryInfoSchema, value).retryDelay;
          if (delay !== undefined) retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
        }
      } catch {
        // Something on the way speaks its own format: the code and the message still stand.
      }
    }
    this.reason = reason;
    this.metadata = metadata;
    this.retryAfterMs = retryAfterMs;
  }

  /** The path of the field in the request that was wrong; undefined where none was. */
  get field(): string | undefined {
    return this.metadata["field"];
  }

  /** The limit that was broken: a number, or a text where it is none. */
  get limit(): number | string | undefined {
    return numberOr(this.metadata["limit"]);
  }

  /** The value received, or its size where that is what was limited. */
  get value(): number | string | undefined {
    return numberOr(this.metadata["value"]);
  }

  /** The error that whatever was thrown by a call stands for. */
  static from(thrown: unknown): TwopassError {
    if (thrown instanceof TwopassError) return thrown;
    const error = ConnectError.from(thrown);
    const details = error.details.filter((detail) => "type" in detail);
    return new TwopassError(error.rawMessage, error.code, details, { cause: thrown });
  }

  /** The error that a status inside of an answer stands for, as in `RerankStream` and `BatchSearch`. */
  static fromStatus(status: Status): TwopassError {
    const details = status.details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    }));
    return new TwopassError(status.message, status.code as Code, details);
  }
}

function numberOr(text: string | undefined): number | string | undefined {
  if (text === undefined || text.trim() === "") return text;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
