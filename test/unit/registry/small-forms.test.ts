// The small parsers: Go's durations, Retry-After, what token servers say.
import t from 'tap';
import { ConnectionError } from '../../../src/registry/connection-error.ts';
import { parseGoDuration } from '../../../src/registry/go-duration.ts';
import { parseRetryAfter } from '../../../src/registry/retry-after.ts';
import { actionsFor, parseToken } from '../../../src/registry/token.ts';

t.test('durations as Go writes them', async (t) => {
  const good: Record<string, number> = {
    '0': 0,
    '300ms': 300,
    '1.5s': 1500,
    '.5s': 500,
    '1.s': 1000,
    '1m30s': 90_000,
    '1h': 3_600_000,
    '+2s': 2000,
    '1500us': 1.5,
    '10µs': 0.01,
    '1000000ns': 1,
  };
  for (const [text, milliseconds] of Object.entries(good)) t.equal(parseGoDuration(text), milliseconds, text);
  for (const text of ['', '5', '1', '-1s', 's', '1 s', '1d', '1S', '1s ', '.s', '1e3s']) t.equal(parseGoDuration(text), undefined, text);
});

t.test('Retry-After in seconds and as a date', async (t) => {
  const now = Date.parse('2026-01-02T03:04:05Z');
  t.equal(parseRetryAfter('30', now), 30_000);
  t.equal(parseRetryAfter(' 0 ', now), 0);
  t.equal(parseRetryAfter(['7', '8'], now), 7000);
  t.equal(parseRetryAfter('Fri, 02 Jan 2026 03:04:35 GMT', now), 30_000);
  t.equal(parseRetryAfter('Friday, 02-Jan-26 03:04:35 GMT', now), 30_000, 'RFC 850');
  t.equal(parseRetryAfter('Fri, 02 Jan 2026 03:00:00 GMT', now), 0, 'past');
  for (const text of [undefined, '', 'soon', '-5', '1.5', '2026-01-02', '99999999999'])
    t.equal(parseRetryAfter(text, now), undefined, String(text));
});

t.test('the scope asked for is the challenge’s, widened for a push', async (t) => {
  t.equal(actionsFor('repository:a/b:pull', 'pull'), 'repository:a/b:pull');
  t.equal(actionsFor('repository:a/b:pull', 'pull,push'), 'repository:a/b:pull,push');
  t.equal(
    actionsFor('repository:host:5000/b:push  registry:catalog:*', 'pull,push'),
    'repository:host:5000/b:pull,push registry:catalog:*',
  );
  t.equal(actionsFor('repository:a:pull,push,delete', 'pull,push'), 'repository:a:pull,push,delete');
});

t.test('a token and its life; what has none is refused without being shown', async (t) => {
  const parse = (answer: unknown) => parseToken(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), 'auth.example');
  t.same(parse({ token: 'a', access_token: 'b', expires_in: 300 }), { value: 'a', lifeMs: 300_000 });
  t.same(parse({ access_token: 'b' }), { value: 'b', lifeMs: 60_000 });
  t.same(parse({ token: '', access_token: 'b', expires_in: 0 }), { value: 'b', lifeMs: 60_000 });
  t.equal(parse({ token: 'a', expires_in: 1e12 }).lifeMs, 86_400_000);
  for (const answer of ['', 's3cr3t', '[]', 'null', {}, { token: 5 }, { token: 's3cr3t\r\nx: y' }, { token: 's3 cr3t' }]) {
    let error: unknown;
    try {
      parse(answer);
    } catch (thrown) {
      error = thrown;
    }
    t.ok(error instanceof ConnectionError);
    t.equal((error as Error).message, 'its token server auth.example sent no token');
  }
});
