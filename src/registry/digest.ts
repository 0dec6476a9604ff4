/** Digests of what came, and the error when it is something else. */
import { createHash } from 'node:crypto';
import { RuntimeError } from '../errors/index.ts';
import type { Digest } from '../ids/index.ts';

/** sha256:HEX of `bytes`. */
export const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest; // of that form by construction

/** `what` came from `url` with the digest `actual`. */
export function wrongDigest(what: string, url: string, { expected, actual }: { expected: string; actual: string }): RuntimeError {
  const message = `what ${url} sent as ${what} is not what was asked for: its digest is ${actual}, not ${expected}; pull again, and if it stays, look at the registry or the proxy before it`;
  return new RuntimeError('unknown', 'IMAGE_DIGEST', message);
}
