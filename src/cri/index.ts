/** The CRI edge: the gRPC server on the unix socket and what it is given. */
export { claimSocketPath } from './claim-socket.ts';
export type { CriDependencies } from './dependencies.ts';
export { type CriServer, serveCri } from './server.ts';
