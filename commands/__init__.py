"""The command line, one module for each command."""

import os

# Read when gRPC is first imported. What its core writes to stderr by itself, such as a line for
# each handshake that fails, has no form of ours and says nothing that our own sentences don't.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
