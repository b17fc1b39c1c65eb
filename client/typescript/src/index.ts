export { Code } from "@connectrpc/connect";

export {
  type CallOptions,
  type CandidateSet,
  type ClientOptions,
  type NewDocument,
  type NewFeedback,
  type Passage,
  type RankedSet,
  TwopassClient,
  type RenameOptions,
  type UpsertOptions,
  type UpsertSummary,
} from "./client.js";
export { TwopassError } from "./errors.js";
export {
  allOf,
  anyOf,
  type Bound,
  type Bounds,
  documentIds,
  type Field,
  field,
  type Metadata,
  noneOf,
  type Scalar,
  valueOf,
} from "./filters.js";
export { type RetryOptions } from "./retries.js";
export * as v1 from "./v1.js";
