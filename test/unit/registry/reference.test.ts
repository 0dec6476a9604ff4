import t from 'tap';
import { digestNameOf, formatReference, nameOf, parseReference, tagOf } from '../../../src/registry/index.ts';

const DIGEST = `sha256:${'a1'.repeat(32)}` as const;

t.test('names are completed as people expect', async (t) => {
  const table: [string, string][] = [
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['kim/app', 'docker.io/kim/app:latest'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['index.docker.io/kim/app', 'docker.io/kim/app:latest'],
    ['quay.io/a/b/c:v1', 'quay.io/a/b/c:v1'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['registry:5000/app:1', 'registry:5000/app:1'],
    ['127.0.0.1:5000/a/b:t', '127.0.0.1:5000/a/b:t'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['Quay.IO/app', 'quay.io/app:latest'],
    ['a__b/c-d/e.f/g--h', 'docker.io/a__b/c-d/e.f/g--h:latest'],
    ['app:5000', 'docker.io/library/app:5000'],
    [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`],
    [`quay.io/app:v1@${DIGEST}`, `quay.io/app:v1@${DIGEST}`],
    [`app:${'t'.repeat(128)}`, `docker.io/library/app:${'t'.repeat(128)}`],
  ];
  for (const [text, full] of table) t.equal(formatReference(parseReference(text)), full, text);
  for (const [, full] of table) t.equal(formatReference(parseReference(full)), full, 'normalized text stays');
});

t.test('the parts can be had by themselves', async (t) => {
  const reference = parseReference(`quay.io/app:v1@${DIGEST}`);
  t.same(reference, { host: 'quay.io', repository: 'app', tag: 'v1', digest: DIGEST });
  t.equal(nameOf(reference), 'quay.io/app');
  t.equal(tagOf(reference), 'quay.io/app:v1');
  t.equal(tagOf(parseReference(`app@${DIGEST}`)), undefined);
  t.equal(digestNameOf(reference, parseReference(`x@${DIGEST}`).digest!), `quay.io/app@${DIGEST}`);
});

t.test('malformed names are refused, saying what is wrong', async (t) => {
  const table: [string, RegExp][] = [
    ['', /no name/],
    ['quay.io/', /no name/],
    ['UPPER', /lower case/],
    ['quay.io/Upper/x', /lower case/],
    ['a//b', /empty/],
    ['/a', /empty/],
    ['a/', /empty/],
    ['a b', /not allowed/],
    ['-a', /not allowed/],
    ['a___b', /not allowed/],
    ['a..b/c', /not a host/],
    ['http://quay.io/a', /host/],
    ['quay.io:port/a', /host/],
    ['a:', /tag/],
    ['a:b c', /tag/],
    ['a:-b', /tag/],
    [`a:${'t'.repeat(129)}`, /tag/],
    ['a@', /digest/],
    ['a@sha256:abc', /digest/],
    [`a@sha512:${'a'.repeat(128)}`, /digest/],
    [`a@${DIGEST.toUpperCase()}`, /digest/],
    ['a'.repeat(64), /image id/],
    [`quay.io/${'a/'.repeat(130)}a`, /longer than 255/],
    ['a\0b', /not allowed/],
    ['../../etc', /not allowed|not a host/],
  ];
  for (const [text, message] of table)
    t.throws(() => parseReference(text), { name: 'RuntimeError', reason: 'IMAGE_REFERENCE', message }, JSON.stringify(text));
});
