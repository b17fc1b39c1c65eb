"""twopass behind Ray Serve: each replica runs a server of its own and hands calls to it.

Ray starts, scales and restarts replicas; batching, budgets and admission stay with the server.
`pip install "ray[serve]" twopass` on every node, then `python examples/ray_serve.py`, or
`serve run ray_serve:app` with the options of gRPC in a configuration file.
"""

import argparse
import asyncio
import signal
from contextlib import ExitStack

import grpc
from ray import serve
from ray.serve.config import gRPCOptions
from ray.serve.grpc_util import RayServegRPCContext

from twopass.server.local import LocalServer
from twopass.v1 import embed_pb2, embed_pb2_grpc, rerank_pb2, rerank_pb2_grpc

APPLICATION = "twopass"
# Ray's proxy answers what these add to it; every node has to be able to import them.
SERVICES = [
    "twopass.v1.rerank_pb2_grpc.add_RerankServiceServicer_to_server",
    "twopass.v1.embed_pb2_grpc.add_EmbedServiceServicer_to_server",
]
CORES = 1
# What a caller sends that the server is to see too: keys, and the number of the request.
_PASSED_ON = {"authorization", "x-request-id"}


@serve.deployment(
    ray_actor_options={"num_cpus": CORES},
    # The server queues and batches itself, and answers RESOURCE_EXHAUSTED when it can't: let it.
    max_ongoing_requests=1_000,
    autoscaling_config={"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 8},
    health_check_period_s=5,
)
class Twopass:
    """A replica: a server in a process of its own, which ends when the replica does."""

    def __init__(self, *flags: str) -> None:
        """Starts the server, and returns when its models are warm.

        Args:
            flags: Flags of `twopass serve`.
        """
        self._end = ExitStack()
        server = LocalServer(None, flags=("--threads", str(CORES), *flags))
        self._end.enter_context(server)
        self._channel = grpc.aio.insecure_channel(
            server.target, options=[("grpc.max_receive_message_length", -1)]
        )
        self._rerank = rerank_pb2_grpc.RerankServiceStub(self._channel)
        self._embed = embed_pb2_grpc.EmbedServiceStub(self._channel)

    async def Rerank(  # noqa: N802  # the name of the rpc
        self, request: rerank_pb2.RerankRequest, grpc_context: RayServegRPCContext
    ) -> rerank_pb2.RerankResponse:
        """Answers `RerankService.Rerank`."""
        return await self._pass_on(self._rerank.Rerank, request, grpc_context)

    async def Embed(  # noqa: N802
        self, request: embed_pb2.EmbedRequest, grpc_context: RayServegRPCContext
    ) -> embed_pb2.EmbedResponse:
        """Answers `EmbedService.Embed`."""
        return await self._pass_on(self._embed.Embed, request, grpc_context)

    async def _pass_on(self, call, request, context: RayServegRPCContext):
        """Has the server answer, and answers with its status where it fails."""
        metadata = [(k, v) for k, v in context.invocation_metadata() if k in _PASSED_ON]
        try:
            return await call(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            context.set_code(error.code())
            context.set_details(error.details())
            context.set_trailing_metadata(list(error.trailing_metadata() or ()))
            raise

    async def check_health(self) -> None:
        """Has Ray replace the replica when the server does not answer."""
        await asyncio.wait_for(self._channel.channel_ready(), 2)

    def __del__(self) -> None:
        """Ends the server."""
        self._end.close()


app = Twopass.bind()


def main() -> None:
    """Serves until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000, help="of Ray's gRPC proxy")
    parser.add_argument("--replicas", type=int, help="as many, and no autoscaling")
    options = parser.parse_args()
    serve.start(grpc_options=gRPCOptions(port=options.port, grpc_servicer_functions=SERVICES))
    deployed = app
    if options.replicas:
        fixed = Twopass.options(num_replicas=options.replicas, autoscaling_config=None)
        deployed = fixed.bind()
    serve.run(deployed, name=APPLICATION)
    print("serving", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    serve.shutdown()


if __name__ == "__main__":
    main()
