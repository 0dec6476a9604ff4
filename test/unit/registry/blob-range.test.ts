import t from 'tap';
import { blobRange, contentLength } from '../../../src/registry/blob-range.ts';

t.test('where an answer begins, and how long the whole is', async (t) => {
  const cases: [status: number, headers: Record<string, string>, expected: ReturnType<typeof blobRange>][] = [
    [200, { 'content-length': '30' }, { offset: 0, total: 30 }],
    [200, {}, { offset: 0, total: undefined }],
    [200, { 'content-range': 'bytes 10-29/30', 'content-length': '30' }, { offset: 0, total: 30 }],
    [206, { 'content-range': 'bytes 10-29/30', 'content-length': '20' }, { offset: 10, total: 30 }],
    [206, { 'content-range': 'bytes 10-29/*' }, { offset: 10, total: undefined }],
    [206, { 'content-range': 'bytes 0-0/1' }, { offset: 0, total: 1 }],
    [206, { 'content-range': 'bytes 29-10/30' }, undefined],
    [206, { 'content-range': 'bytes */30' }, undefined],
    [206, { 'content-range': 'lines 1-2/3' }, undefined],
    [206, { 'content-range': 'bytes 1-2/3, 4-5/6' }, undefined],
    [206, { 'content-range': `bytes 1-2/1${'0'.repeat(30)}` }, { offset: 1, total: 1e30 }],
    [206, { 'content-type': 'multipart/byteranges' }, undefined],
    [206, {}, undefined],
    [416, { 'content-range': 'bytes */30' }, undefined],
  ];
  for (const [status, headers, expected] of cases) t.same(blobRange(status, headers), expected, `${status} ${JSON.stringify(headers)}`);
});

t.test('a length that is none is unknown', async (t) => {
  for (const length of ['', '-1', '1.5', '0x10', ' 3']) t.equal(contentLength({ 'content-length': length }), undefined, length);
  t.equal(contentLength({ 'content-length': '0' }), 0);
});
