/**
 * Which bytes of a blob an answer holds (RFC 9110 14.4 Content-Range, 8.6
 * Content-Length). Pure. A server that was asked for a range may send it, the
 * whole, another range, or say that there is no such range; what cannot be
 * told from the head is undefined.
 */

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Where the body begins, and the bytes of the whole blob when that is said. */
export interface BlobRange {
  offset: number;
  total: number | undefined;
}

/** The range of an answer to a request for one; undefined when its body is not bytes of the blob from somewhere on. */
export function blobRange(status: number, headers: Headers): BlobRange | undefined {
  if (status === 200) return { offset: 0, total: contentLength(headers) };
  if (status !== 206) return undefined;
  const [, first, last, total] = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/.exec(String(headers['content-range'])) ?? [];
  if (first === undefined || Number(last) < Number(first)) return undefined;
  return { offset: Number(first), total: total === '*' ? undefined : Number(total) };
}

/** The length an answer announces; undefined when it announces none. */
export function contentLength(headers: Headers): number | undefined {
  const length = headers['content-length'];
  return typeof length === 'string' && /^[0-9]+$/.test(length) ? Number(length) : undefined;
}
