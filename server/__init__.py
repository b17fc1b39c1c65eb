"""The gRPC server: servicers translate, the pipeline decides, the batcher feeds the engines."""
