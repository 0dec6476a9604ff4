/** Identities that must not be mixed up: branded strings, made in one place. */
import { randomBytes } from 'node:crypto';

declare const brand: unique symbol;
type Branded<B extends string> = string & { readonly [brand]: B };

/** Id of a pod sandbox: 64 lower-case hex digits. */
export type SandboxId = Branded<'SandboxId'>;
/** Id of a container: 64 lower-case hex digits. */
export type ContainerId = Branded<'ContainerId'>;
/** Content digest, `sha256:` and 64 hex digits (OCI image-spec descriptor). */
export type Digest = Branded<'Digest'>;
/** Image id = digest of its config blob. */
export type ImageId = Digest;
/** Digest of an uncompressed layer tar (OCI image-spec rootfs.diff_ids). */
export type DiffId = Digest;

const ID_BYTES = 32;

/** A fresh sandbox id. */
export const newSandboxId = (): SandboxId => randomBytes(ID_BYTES).toString('hex') as SandboxId;
/** A fresh container id. */
export const newContainerId = (): ContainerId => randomBytes(ID_BYTES).toString('hex') as ContainerId;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** True when `text` is a well-formed sha256 digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** The first 13 characters of an id, as crictl prints it. */
export const shortId = (id: string): string => id.replace(/^sha256:/, '').slice(0, 13);
