/** gRPC from Node: every rpc, streams too. Needs `@connectrpc/connect-node`. */
import { createGrpcTransport, type GrpcTransportOptions } from "@connectrpc/connect-node";

import { type ClientOptions, interceptorsOf, TwopassClient } from "./client.js";

/** How a client over gRPC is made. */
export interface GrpcClientOptions extends Omit<ClientOptions, "fetch"> {
  /** What TLS needs beside the system's authorities: `ca`, and `cert` with `key` where the server asks for a certificate. */
  tls?: GrpcTransportOptions["nodeOptions"];
}

/**
 * A client that speaks gRPC.
 *
 * @param url Where the server listens for gRPC, as in "http://localhost:50051"; https with TLS.
 */
export function grpcClient(url: string, options: GrpcClientOptions = {}): TwopassClient {
  const transport = createGrpcTransport({
    baseUrl: url,
    interceptors: interceptorsOf(options),
    ...(options.tls ? { nodeOptions: options.tls } : {}),
  });
  return new TwopassClient(transport, options);
}
