/**
 * Image references: the distribution grammar with Docker's familiar
 * defaults (`busybox` is docker.io/library/busybox:latest). Pure. The one
 * place that decides what a name means; everything else carries the parsed
 * form or its normalized text.
 */
import { RuntimeError } from '../errors/index.ts';
import { type Digest, isDigest } from '../ids/index.ts';

/** A parsed reference. Without a digest there is always a tag. */
export interface Reference {
  /** HOST[:PORT] in lower case, docker.io when none was written; one that only its upper case tells from a path stays as written. */
  readonly host: string;
  /** Path within the registry, library/ prefixed for one-component docker.io names. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const DEFAULT_HOST = 'docker.io';
const DEFAULT_TAG = 'latest';
/** Longest HOST/REPOSITORY of the distribution grammar. */
const NAME_LIMIT = 255;

// distribution/reference grammar: domain, path-component, tag, digest
const HOST =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const BARE_ID = /^[0-9a-f]{64}$/;

/** Parses `text`; throws IMAGE_REFERENCE saying what is wrong with it. */
export function parseReference(text: string): Reference {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : parseDigest(text, text.slice(at + 1));
  const { name, tag } = splitTag(text, at < 0 ? text : text.slice(0, at));
  const { host, path } = splitHost(name);
  if (path === '') throw malformed(text, 'it has no name');
  if (BARE_ID.test(text)) throw malformed(text, '64 hexadecimal digits are an image id, not a name');
  const repository = host === DEFAULT_HOST && !path.includes('/') ? `library/${path}` : path;
  checkRepository(text, repository);
  if (host.length + 1 + repository.length > NAME_LIMIT) throw malformed(text, `its name is longer than ${NAME_LIMIT} characters`);
  const effectiveTag = tag ?? (digest === undefined ? DEFAULT_TAG : undefined);
  return {
    host,
    repository,
    ...(effectiveTag === undefined ? {} : { tag: effectiveTag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** HOST/REPOSITORY. */
export const nameOf = (reference: Reference): string => `${reference.host}/${reference.repository}`;

/** HOST/REPOSITORY:TAG, undefined when there is no tag. */
export const tagOf = (reference: Reference): string | undefined =>
  reference.tag === undefined ? undefined : `${nameOf(reference)}:${reference.tag}`;

/** HOST/REPOSITORY@DIGEST for a given digest. */
export const digestNameOf = (reference: Reference, digest: Digest): string => `${nameOf(reference)}@${digest}`;

/** The full normalized text; equal texts name the same thing. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${nameOf(reference)}${tag}${digest}`;
}

function parseDigest(text: string, digest: string): Digest {
  if (!isDigest(digest)) throw malformed(text, 'its digest is not sha256: and 64 lower-case hexadecimal digits');
  return digest;
}

/** A colon after the last slash begins a tag; before it, a port. */
function splitTag(text: string, rest: string): { name: string; tag: string | undefined } {
  const colon = rest.lastIndexOf(':');
  if (colon < 0 || colon < rest.lastIndexOf('/')) return { name: rest, tag: undefined };
  const tag = rest.slice(colon + 1);
  if (!TAG.test(tag)) throw malformed(text, 'its tag is not 1 to 128 letters, digits, “_”, “.” or “-”');
  return { name: rest.slice(0, colon), tag };
}

/** The first component is a host when it has a dot or a colon, is localhost, or has upper case (no path may). */
const looksLikeHost = (first: string): boolean =>
  first.includes('.') || first.includes(':') || first === 'localhost' || first !== first.toLowerCase();

function splitHost(name: string): { host: string; path: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  if (!looksLikeHost(first)) return { host: DEFAULT_HOST, path: name };
  if (!HOST.test(first)) throw malformed(name, `${shown(first)} is not a host name or HOST:PORT`);
  const lower = first.toLowerCase();
  const host = looksLikeHost(lower) ? lower : first;
  return { host: host === 'index.docker.io' ? DEFAULT_HOST : host, path: name.slice(slash + 1) };
}

function checkRepository(text: string, repository: string): void {
  for (const component of repository.split('/')) {
    if (COMPONENT.test(component)) continue;
    if (component !== component.toLowerCase()) throw malformed(text, 'a name must be in lower case');
    throw malformed(text, component === '' ? 'a part of its name is empty' : `${shown(component)} is not allowed in a name`);
  }
}

function malformed(text: string, why: string): RuntimeError {
  return new RuntimeError(
    'invalid',
    'IMAGE_REFERENCE',
    `the image reference ${shown(text)} is malformed: ${why}; write it as [HOST/]NAME[:TAG][@DIGEST]`,
  );
}

/** Whatever it is, on one line and bounded. */
const shown = (text: string): string => JSON.stringify(text.slice(0, NAME_LIMIT));
