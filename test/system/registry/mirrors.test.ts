// Mirrors: when the next endpoint is asked and when not, and how each of them is asked.

import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { hostsDir, hostsFile } from '../../fixtures/hosts-dir.ts';
import { openImages } from '../../fixtures/image-service.ts';
import { type OddRegistry, startOddRegistry } from '../../fixtures/odd-registry.ts';
import { freePort, startRegistry } from '../../fixtures/registry.ts';

const never = new AbortController().signal;
const image = buildImage({ layers: [{ entries: [{ path: 'a', content: 'x' }] }, { entries: [{ path: 'b', content: 'y' }] }] });

/** Pulls `reference` by a service whose host has this file. */
const pullBy = (t: Test, reference: string, toml: string): Promise<string> =>
  openImages(t, { hostsDir: hostsDir(t, { [`${reference.split('/')[0]}/hosts.toml`]: toml }) }).service.pull(reference, undefined, never);

/** A registry that answers everything with one status. */
const refusing = (t: Test, status: number): Promise<OddRegistry> =>
  startOddRegistry(t, [], (_request, response) => {
    response.writeHead(status).end();
    return true;
  });

t.test('every failure leads on by default; with a list only what is in it; with "never" nothing', async (t) => {
  const registry = await startRegistry(t);
  const name = await registry.pushImage('app', '1', image);
  const mirrors: Record<string, [url: string, said: RegExp, reason: string]> = {
    connect: [`http://127.0.0.1:${await freePort()}`, /connection refused/, 'REGISTRY_UNAVAILABLE'],
    '404': [(await refusing(t, 404)).url, /answered 404/, 'IMAGE_NOT_IN_REGISTRY'],
    '5xx': [(await refusing(t, 500)).url, /answered 500/, 'REGISTRY_UNAVAILABLE'],
    auth: [(await refusing(t, 403)).url, /answered 403/, 'IMAGE_UNAUTHORIZED'],
  };
  for (const [failure, [url, said, reason]] of Object.entries(mirrors)) {
    const others = Object.keys(mirrors).filter((each) => each !== failure);
    for (const [fallback, goesOn] of [
      [undefined, true],
      [`["${failure}"]`, true],
      [JSON.stringify(others), false],
      ['"never"', false],
    ] as const) {
      const toml = hostsFile(registry.url, [[url, ...(fallback === undefined ? [] : [`fallback = ${fallback}`])]]);
      const what = `${failure} with fallback ${fallback}`;
      if (goesOn) t.equal(await pullBy(t, name, toml), image.id, what);
      else {
        const error = await pullBy(t, name, toml).catch((thrown: unknown) => thrown);
        t.match(error, { name: 'RuntimeError', reason, message: said, detail: { endpoints: [url] } }, what);
      }
    }
  }
});

t.test('429 counts as a failure of the endpoint, and the others are asked without waiting for it', async (t) => {
  const registry = await startRegistry(t);
  const name = await registry.pushImage('app', '1', image);
  const busy = await startOddRegistry(t, [], (_request, response) => {
    response.writeHead(429, { 'retry-after': '3600' }).end();
    return true;
  });
  t.equal(await pullBy(t, name, hostsFile(registry.url, [[busy.url]])), image.id);
  await t.rejects(pullBy(t, name, hostsFile(registry.url, [[busy.url, 'fallback = ["connect", "404", "auth"]']])), {
    kind: 'unknown',
    reason: 'REGISTRY_UNAVAILABLE',
    message: /answered 429/,
  });
});

t.test('an endpoint where the way ends is waited for as it asks, within a bound', async (t) => {
  for (const retryAfter of ['0', new Date(Date.now() - 5000).toUTCString()]) {
    let refusals = 0;
    const registry = await startOddRegistry(t, [image], (request, response) => {
      refusals += 1;
      if (refusals % 2 === 0) return false;
      response.writeHead(request.url?.includes('/blobs/') === true ? 503 : 429, { 'retry-after': retryAfter }).end();
      return true;
    });
    t.equal(await openImages(t).service.pull(`${registry.host}/app:0`, undefined, never), image.id, 'documents and content alike');
  }
  let asked = 0;
  const closed = await startOddRegistry(t, [image], (_request, response) => {
    asked += 1;
    response.writeHead(429, { 'retry-after': '61' }).end('{"errors":[{"code":"TOOMANYREQUESTS","message":"request 4711"}]}');
    return true;
  });
  await t.rejects(openImages(t).service.pull(`${closed.host}/app:0`, undefined, never), {
    kind: 'unknown',
    reason: 'REGISTRY_UNAVAILABLE',
    message: `image ${closed.host}/app:0: the registry cannot be reached or fails (${closed.url}: answered 429 TOOMANYREQUESTS); check the endpoints listed`,
  });
  t.equal(asked, 1);
  asked = 0;
  const stubborn = await startOddRegistry(t, [image], (_request, response) => {
    asked += 1;
    response.writeHead(429, { 'retry-after': '0' }).end();
    return true;
  });
  await t.rejects(openImages(t).service.pull(`${stubborn.host}/app:0`, undefined, never), {
    name: 'RuntimeError',
    reason: 'REGISTRY_UNAVAILABLE',
  });
  t.equal(asked, 11, 'put off ten times at most');
});

t.test('documents are asked for again when the last endpoint fails for a moment, and not when it will not help', async (t) => {
  const table: [what: string, fail: (at: number) => number | 'cut' | undefined, requests: number, good: boolean][] = [
    ['503 twice', (at) => (at < 2 ? 503 : undefined), 3, true],
    ['a cut twice', (at) => (at < 2 ? 'cut' : undefined), 3, true],
    ['502 for ever', () => 502, 3, false],
    ['501', () => 501, 1, false],
    ['400', () => 400, 1, false],
    ['404', () => 404, 1, false],
    ['403', () => 403, 1, false],
  ];
  for (const [what, fail, requests, good] of table) {
    let at = -1;
    const registry = await startOddRegistry(t, [image], (request, response, content) => {
      if (request.url?.includes('/manifests/') !== true) return false;
      at += 1;
      const failure = fail(at);
      if (failure === undefined) return false;
      if (failure === 'cut') {
        response.writeHead(200, { 'content-length': content?.length });
        response.write(content?.subarray(0, 10), () => response.destroy());
      } else response.writeHead(failure).end();
      return true;
    });
    const pulling = openImages(t).service.pull(`${registry.host}/app:0`, undefined, never);
    if (good) t.equal(await pulling, image.id, what);
    else await t.rejects(pulling, { name: 'RuntimeError' }, what);
    t.equal(at + 1, requests, what);
  }
});

t.test('a mirror that cuts or lies about the length of a document is given up for the next', async (t) => {
  const registry = await startRegistry(t);
  const name = await registry.pushImage('app', '1', image);
  const cutting = await startOddRegistry(t, [image], (_request, response) => {
    const { bytes, descriptor } = image.manifest;
    response.writeHead(200, { 'content-type': descriptor.mediaType, 'content-length': bytes.length + 100 });
    response.write(bytes, () => response.destroy());
    return true;
  });
  t.equal(await pullBy(t, name, hostsFile(registry.url, [[cutting.url]])), image.id);
});

/** Sends for as long as the other side takes it. */
function endless(socket: Socket, send: () => void): true {
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : send()), 1);
  return true;
}

t.test('answers without end, heads without end and redirects without end are bounded', async (t) => {
  const table: [what: string, begin: Parameters<typeof startOddRegistry>[2], message: RegExp][] = [
    [
      'body',
      (request, response) => endless(request.socket, () => response.write(Buffer.alloc(256 * 1024, 0x20))),
      /its answer is longer than 4194304 bytes/,
    ],
    [
      'error page',
      (request, response) => {
        response.writeHead(404);
        return endless(request.socket, () => response.write(Buffer.alloc(64 * 1024, 0x20)));
      },
      /answered 404/,
    ],
    [
      'head',
      (request) => {
        request.socket.write('HTTP/1.1 200 OK\r\n');
        return endless(request.socket, () => request.socket.write(`x-long: ${'x'.repeat(5000)}\r\n`));
      },
      /the head of its answer is too long/,
    ],
    [
      'redirects',
      (request, response) => {
        response.writeHead(307, { location: `${request.url}x` }).end();
        return true;
      },
      /more than 5 redirects/,
    ],
    [
      'a redirect elsewhere',
      (_request, response) => {
        response.writeHead(307, { location: 'file:///etc/passwd' }).end();
        return true;
      },
      /it redirects to file:/,
    ],
    [
      'no http',
      (request) => {
        request.socket.end('SSH-2.0-OpenSSH_9.2\r\n');
        return true;
      },
      /it does not speak HTTP/,
    ],
  ];
  for (const [what, intercept, message] of table) {
    const registry = await startOddRegistry(t, [image], intercept);
    await t.rejects(openImages(t).service.pull(`${registry.host}/app:0`, undefined, never), { name: 'RuntimeError', message }, what);
  }
});

t.test('a mirror is told which registry is meant, gets its own headers, and its path as the file says', async (t) => {
  const seen: string[] = [];
  const intercept: Parameters<typeof startOddRegistry>[2] = (request) => {
    seen.push(`${request.url?.replace(/sha256:.*?(?=\?|$)/, 'DIGEST')} ${request.headers['x-token'] ?? '-'}`);
    return false;
  };
  const mirror = await startOddRegistry(t, [image], intercept);
  const pull = (lines: string[], path = ''): Promise<string> =>
    pullBy(t, 'reg.example:5000/team/app:0', hostsFile('', [[`${mirror.url}${path}`, ...lines]]));
  t.equal(await pull(['[host.header]', 'x-token = "s3cr3t"'].map((line) => line.replace('host.', `host."${mirror.url}".`))), image.id);
  t.same(
    [...new Set(seen)],
    ['/v2/team/app/manifests/0?ns=reg.example%3A5000 s3cr3t', '/v2/team/app/blobs/DIGEST?ns=reg.example%3A5000 s3cr3t'],
  );
  seen.length = 0;
  t.equal(await pull(['override_path = true'], '/v2/proxy/reg'), image.id);
  t.match(seen[0], /^\/v2\/proxy\/reg\/team\/app\/manifests\/0\?ns=/);
  seen.length = 0;
  t.equal(await pull([], '/cache'), image.id);
  t.match(seen[0], /^\/cache\/v2\/team\/app\/manifests\/0\?ns=/);
});

t.test('who may say what a tag means, and who may give content', async (t) => {
  const content = await startOddRegistry(t, [image]);
  const tags = await startOddRegistry(t, [image], (request, response) => {
    if (request.method !== 'HEAD') return false;
    response.writeHead(200, { 'docker-content-digest': image.manifest.descriptor.digest }).end();
    return true;
  });
  const host = await startOddRegistry(t, []);
  const toml = hostsFile(host.url, [
    [content.url, 'capabilities = ["pull"]'],
    [tags.url, 'capabilities = ["resolve"]'],
  ]);
  t.equal(await pullBy(t, `${host.host}/app:0`, toml), image.id);
  t.same(tags.requests, [`HEAD /v2/app/manifests/0?ns=${encodeURIComponent(host.host)}`], 'the tag alone');
  t.ok(content.requests.length > 0 && content.requests.every((line) => line.includes('sha256:')), 'content alone, by digest');
  t.same(host.requests, []);
  const both = await startOddRegistry(t, [image]);
  const before = content.requests.length;
  t.equal(await pullBy(t, `${both.host}/app:0`, hostsFile(both.url, [[content.url, 'capabilities = ["pull"]']])), image.id);
  t.equal(both.requests.length, 1, 'the host says what the tag means, the mirror gives the content');
  t.ok(content.requests.length > before);
  await t.rejects(pullBy(t, 'reg.example/app:0', 'capabilities = ["pull"]'), {
    kind: 'precondition',
    reason: 'CONFIG_INVALID',
    message:
      /^image reg\.example\/app:0: no endpoint may be asked, since none has the capability "resolve"; give it to one in .*\/reg\.example\/hosts\.toml$/,
  });
});

t.test('a hosts file is read anew at each pull, and a broken one names what is wrong', async (t) => {
  const registry = await startOddRegistry(t, [image]);
  const dir = hostsDir(t, { 'reg.example/hosts.toml': `server = "http://127.0.0.1:${await freePort()}"` });
  const images = openImages(t, { hostsDir: dir });
  const pull = (): Promise<string> => images.service.pull('reg.example/app:0', undefined, never);
  await t.rejects(pull(), { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' });
  writeFileSync(join(dir, 'reg.example/hosts.toml'), `server = "${registry.url}"`);
  t.equal(await pull(), image.id);
  writeFileSync(join(dir, 'reg.example/hosts.toml'), `[host."${registry.url}"]\nfalback = "never"`);
  await t.rejects(pull(), {
    kind: 'precondition',
    reason: 'CONFIG_INVALID',
    message: new RegExp(`^${dir}/reg\\.example/hosts\\.toml: host\\."${registry.url}"\\.falback is not a key; allowed are `),
  });
  t.equal(await images.service.pull(`${registry.host}/app:0`, undefined, never), image.id, 'other hosts do not care');
});

t.test('a file for all hosts holds where a host has none', async (t) => {
  const cache = await startOddRegistry(t, [image]);
  const dir = hostsDir(t, { '_default/hosts.toml': `[host."${cache.url}"]`, 'own.example/hosts.toml': 'server = "http://127.0.0.1:1"' });
  const images = openImages(t, { hostsDir: dir });
  t.equal(await images.service.pull('any.example/app:0', undefined, never), image.id);
  t.equal(await images.service.pull('docker.io/team/app:0', undefined, never), image.id);
  t.ok(cache.requests.some((line) => line.endsWith('?ns=any.example')));
  await t.rejects(images.service.pull('own.example/app:0', undefined, never), { name: 'RuntimeError', reason: 'REGISTRY_UNAVAILABLE' });
});
