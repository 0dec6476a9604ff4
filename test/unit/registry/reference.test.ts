import t from 'tap';
import { digestNameOf, formatReference, nameOf, parseReference, tagOf } from '../../../src/registry/index.ts';

const shortLine = { name: 'RuntimeError', reason: 'IMAGE_REFERENCE', message: /^\P{C}{1,1000}$/u };
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
    ['LOCALHOST/app', 'localhost/app:latest'],
    ['Registry/app', 'Registry/app:latest'], // in lower case it would be docker.io/registry/app
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

t.test('a message about a malformed name is one short line, whatever is in the name', async (t) => {
  const hostile = [`${'a'.repeat(100_000)}_`, `${'b'.repeat(100_000)}..io/x`, 'a\n\0b', 'a\n.io:x/b', 'a\ud800', '\x1b[2J.io/x'];
  for (const text of hostile) t.throws(() => parseReference(text), shortLine, JSON.stringify(text.slice(0, 20)));
});

t.test('only the whole of 64 hexadecimal digits is an id; as a part of a name they are a name', async (t) => {
  const hex = 'a1'.repeat(32);
  t.throws(() => parseReference(hex), { name: 'RuntimeError', message: /image id/ });
  for (const text of [`${hex}:v1`, `docker.io/${hex}:v1`, `library/${hex}:v1`]) {
    t.equal(formatReference(parseReference(text)), `docker.io/library/${hex}:v1`, text);
  }
});
