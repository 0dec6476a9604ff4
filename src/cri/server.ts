/**
 * The gRPC server on the unix socket. It listens before recovery is done, so
 * that clients get Unavailable instead of a refused connection, and answers
 * once ready() was called.
 *
 * :authority is not looked at, with one exception that is out of reach here:
 * Node's HTTP/2 refuses a request whose :authority is not made of the
 * characters of a host (a raw socket path, say) with PROTOCOL_ERROR before
 * grpc-js sees it. kubelet and crictl send `localhost`.
 */
import { chmod } from 'node:fs/promises';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { messageOf, RuntimeError } from '../errors/index.ts';
import { imageService, operatorService, runtimeService } from '../gen/index.ts';
import { MESSAGE_LIMIT_BYTES } from './call.ts';
import { claimSocketPath } from './claim-socket.ts';
import type { CriDependencies } from './dependencies.ts';
import { type DispatchOptions, implement, serviceDefinition } from './dispatch.ts';
import { guardLongTimeouts } from './long-deadline.ts';
import { imageRpcs, operatorRpcs, runtimeRpcs } from './rpcs.ts';
import type { CallReports, TrackedCall } from './tracked-call.ts';

/** Calls of one connection at once: far above what a kubelet of 250 pods has in flight, far below what memory bears. */
const CONCURRENT_CALLS = 1024;

/** Read and write for root and the group. */
const SOCKET_MODE = 0o660;

/** Time for calls under way to end when the daemon stops. */
const SHUTDOWN_GRACE_MS = 3000;

/** What to serve, where, and whom to tell. */
interface CriServerOptions extends CallReports {
  /** Absolute path of the unix socket. */
  readonly socket: string;
  readonly dependencies: CriDependencies;
}

/** The server while it listens; disposing it ends its calls and removes the socket. */
export interface CriServer extends AsyncDisposable {
  /** Opens the gate: until then everything but Version answers Unavailable. */
  ready(): void;
}

/** Starts to listen. Throws SOCKET_IN_USE when somebody answers on the socket, CONFIG_INVALID when it cannot be bound. */
export async function serveCri(options: CriServerOptions): Promise<CriServer> {
  await claimSocketPath(options.socket);
  const streams = new Set<TrackedCall>();
  let isReady = false;
  const dispatch: DispatchOptions = { ...options, streams, isReady: () => isReady };
  const server = makeServer(dispatch);
  const guard = guardLongTimeouts();
  try {
    await bind(server, options.socket);
    await chmod(options.socket, SOCKET_MODE);
  } catch (error) {
    guard[Symbol.dispose]();
    server.forceShutdown();
    throw error;
  }
  return {
    ready() {
      isReady = true;
    },
    async [Symbol.asyncDispose]() {
      await shutDown(server, streams);
      guard[Symbol.dispose]();
    },
  };
}

function makeServer(dispatch: DispatchOptions): Server {
  const server = new Server({
    'grpc.max_receive_message_length': MESSAGE_LIMIT_BYTES,
    'grpc.max_send_message_length': MESSAGE_LIMIT_BYTES,
    'grpc.max_concurrent_streams': CONCURRENT_CALLS,
  });
  server.addService(serviceDefinition(runtimeService), implement(runtimeService, runtimeRpcs, dispatch));
  server.addService(serviceDefinition(imageService), implement(imageService, imageRpcs, dispatch));
  server.addService(serviceDefinition(operatorService), implement(operatorService, operatorRpcs, dispatch));
  return server;
}

async function bind(server: Server, socket: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
    if (error === null) resolve();
    else reject(new RuntimeError('invalid', 'CONFIG_INVALID', `cannot listen on ${socket}: ${messageOf(error)}; check its directory`));
  });
  await promise;
}

/** Streams end at once, other calls get a moment, then the connections are cut. */
async function shutDown(server: Server, streams: Set<TrackedCall>): Promise<void> {
  const stopping = new RuntimeError('unavailable', 'STOPPING', 'berth is shutting down; call again when it is back');
  for (const call of streams) call.abort(stopping);
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    server.forceShutdown();
    resolve();
  }, SHUTDOWN_GRACE_MS);
  server.tryShutdown(() => resolve());
  await promise;
  clearTimeout(timer);
}
