/** Messages and services of `twopass.v1`, as generated from the contract. */
export * from "./gen/twopass/v1/collection_pb.js";
export * from "./gen/twopass/v1/document_pb.js";
export * from "./gen/twopass/v1/embed_pb.js";
export * from "./gen/twopass/v1/feedback_pb.js";
export * from "./gen/twopass/v1/filter_pb.js";
export * from "./gen/twopass/v1/model_pb.js";
export * from "./gen/twopass/v1/report_pb.js";
export * from "./gen/twopass/v1/rerank_pb.js";
export * from "./gen/twopass/v1/search_pb.js";
export * from "./gen/twopass/v1/server_pb.js";
export * from "./gen/twopass/v1/spans_pb.js";
export * from "./gen/twopass/v1/status_pb.js";
export * from "./gen/twopass/v1/timings_pb.js";
