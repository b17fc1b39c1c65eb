"""One module a gRPC service: messages in, domain types to the pipeline, messages out."""
