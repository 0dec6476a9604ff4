// `berth image load|save|push` against berth's own gRPC server over a real socket, with a domain in memory.
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { RuntimeError } from '../../../src/errors/index.ts';
import type { LoadRequest, SaveRequest } from '../../../src/image/index.ts';
import { scratchDir } from '../../fixtures/archives.ts';
import { failure, Harness } from '../../fixtures/cri/client.ts';
import { IMAGE_ID } from '../../fixtures/cri/services.ts';
import { RecordingTerminal, runOn, type Said } from '../../fixtures/terminal.ts';

type Options = ConstructorParameters<typeof RecordingTerminal>[0];

async function bench(t: Test) {
  const harness = new Harness();
  t.teardown(() => harness[Symbol.asyncDispose]());
  await harness.start();
  const { services } = harness;
  const terminal = (options: Options = {}) => new RecordingTerminal({ ...options, env: { BERTH_SOCKET: harness.socket, ...options.env } });
  const cli = (argv: string[], options: Options = {}): Promise<Said> => runOn(terminal(options), argv);
  const called = (name: string): unknown[] => services.calls.filter((call) => call.name === name).map(({ args }) => args[0]);
  return { harness, services, terminal, cli, called };
}

t.test('load names an absolute path, and prints a line an image', async (t) => {
  const { cli, called, services } = await bench(t);
  services.overrides.set('images.load', async () => [
    { id: IMAGE_ID, names: ['reg.io/a:1', 'reg.io/a:2'] },
    { id: IMAGE_ID, names: [] },
  ]);
  t.same(await cli(['image', 'load', '--input', 'some/archive.tar', '--pin', '--name', 'app:1']), {
    code: 0,
    out: `${IMAGE_ID} reg.io/a:1 reg.io/a:2\n${IMAGE_ID}\n`,
    err: '',
  });
  t.same(called('images.load'), [{ path: resolve('some/archive.tar'), pin: true, name: 'app:1' }]);
  t.equal((await cli(['image', 'load', '-q', '-i', '/a'])).out, `${IMAGE_ID}\n${IMAGE_ID}\n`);
  t.same(called('images.load')[1], { path: '/a', pin: false, name: '' });
});

t.test('load shows how far each image is, under its name alone', async (t) => {
  const { cli, services } = await bench(t);
  services.overrides.set('images.load', async ({ path }: LoadRequest) => {
    const layer = {
      digest: `sha256:${'d'.repeat(64)}`,
      totalBytes: 1_048_576,
      downloadedBytes: 1_048_576,
      resumedBytes: 0,
      unpackedBytes: 0,
      source: '',
      state: 'done' as const,
    };
    const now = BigInt(Date.now()) * 1_000_000n;
    services.pulls = [
      { reference: path, startedAtNs: now, layers: [], state: 'done', endedAtNs: now, bytesPerSecond: 0 },
      { reference: `${path}: reg.io/a:1`, startedAtNs: now, layers: [layer], state: 'done', endedAtNs: now, bytesPerSecond: 0 },
      {
        reference: 'reg.io/other:1',
        startedAtNs: now,
        layers: [{ ...layer, digest: 'sha256:other' }],
        state: 'pulling',
        endedAtNs: 0n,
        bytesPerSecond: 0,
      },
    ];
    return [{ id: IMAGE_ID, names: ['reg.io/a:1'] }];
  });
  t.same(await cli(['image', 'load', '-i', '/x.tar']), {
    code: 0,
    out: `${IMAGE_ID} reg.io/a:1\n`,
    err: 'layer dddddddddddd 1.0 MiB: done\n',
  });
  const { err } = await cli(['image', 'load', '-i', '/x.tar'], { isTty: true });
  t.match(err, /reg\.io\/a:1: 1\/1 layers/);
  t.notMatch(err, /\/x\.tar/);
});

t.test('standard input becomes a private file without a name', async (t) => {
  const { cli, services } = await bench(t);
  const dir = scratchDir(t);
  const seen: unknown[] = [];
  services.overrides.set('images.load', async ({ path }: LoadRequest) => {
    const { mode, nlink } = statSync(path);
    seen.push({
      mode: mode & 0o777,
      nlink,
      content: readFileSync(path, 'utf8'),
      link: readlinkSync(path).startsWith(`${dir}/berth-load-`),
    });
    throw new RuntimeError('invalid', 'IMAGE_ARCHIVE', `the image archive ${path} cannot be used: it is odd; make or copy it again`);
  });
  const input = [Buffer.from('an arch'), Buffer.from('ive')];
  for (const argv of [
    ['image', 'load'],
    ['image', 'load', '-i', '-'],
  ]) {
    t.match(await cli(argv, { input, env: { TMPDIR: dir } }), {
      code: 1,
      err: 'berth: the image archive standard input cannot be used: it is odd; make or copy it again\n  reason IMAGE_ARCHIVE: make or copy the archive again; the message names the member\n',
    });
  }
  t.same(seen, Array(2).fill({ mode: 0o600, nlink: 0, content: 'an archive', link: true }));
  t.same(readdirSync(dir), []);
  t.match(await cli(['image', 'load'], { input, env: { TMPDIR: join(dir, 'absent') } }), {
    code: 1,
    err: /copying standard input into .*absent failed: ENOENT.*; set TMPDIR to another directory\n {2}reason INVALID_ARGUMENT/,
  });
  t.match(await cli(['image', 'load'], { isInTty: true }), {
    code: 2,
    err: /standard input is a terminal; name the archive with --input FILE/,
  });
});

t.test('save writes to standard output, but to no terminal', async (t) => {
  const { cli, called } = await bench(t);
  t.same(await cli(['image', 'save', 'a:1', 'b:2']), { code: 0, out: 'an archive', err: '' });
  t.same(await cli(['image', 'save', 'a:1', '-o', '-', '--format', 'docker']), { code: 0, out: 'an archive', err: '' });
  t.same(called('images.save'), [
    { images: ['a:1', 'b:2'], format: 'oci' },
    { images: ['a:1'], format: 'docker' },
  ]);
  t.match(await cli(['image', 'save', 'a:1'], { isOutTty: true }), {
    code: 2,
    out: '',
    err: /an archive is nothing for a terminal; redirect standard output/,
  });
  t.match(await cli(['image', 'save', 'a:1', '--format', 'zip']), { code: 2, err: /not one of oci, docker/ });
});

t.test('a file appears when it is whole', async (t) => {
  const { cli, services } = await bench(t);
  const dir = scratchDir(t);
  const file = join(dir, 'a.tar');
  t.same(await cli(['image', 'save', 'a:1', '-o', file]), { code: 0, out: '', err: '' });
  t.equal(readFileSync(file, 'utf8'), 'an archive');
  t.equal(statSync(file).mode & 0o777, 0o600);
  symlinkSync(file, join(dir, 'link.tar'));
  t.equal((await cli(['image', 'save', 'a:1', '-o', join(dir, 'link.tar')])).code, 0);
  t.ok(lstatSync(join(dir, 'link.tar')).isSymbolicLink(), 'a link stays a link');

  writeFileSync(file, 'precious');
  services.overrides.set('images.save', async function* (_request: SaveRequest) {
    yield Buffer.from('half');
    throw new RuntimeError('internal', 'IMAGE_LAYER_UNAVAILABLE', 'layer 2 is damaged');
  });
  t.match(await cli(['image', 'save', 'a:1', '-o', file]), {
    code: 1,
    err: /^berth: layer 2 is damaged\n {2}reason IMAGE_LAYER_UNAVAILABLE/,
  });
  t.equal(readFileSync(file, 'utf8'), 'precious');
  t.same(readdirSync(dir).sort(), ['a.tar', 'link.tar']);
  t.match(await cli(['image', 'save', 'a:1', '-o', dir]), { code: 1, err: /writing .* failed: EISDIR.*name another file/ });
  t.notOk(existsSync(join(dir, 'b.tar')));
});

t.test('push', async (t) => {
  const { cli, called } = await bench(t);
  t.same(await cli(['image', 'push', 'app:1', 'reg.io/app:1', '--creds', 'me:pass:word']), {
    code: 0,
    out: `reg.io/app@${IMAGE_ID}\n`,
    err: '3.3 MiB sent, 1.0 KiB were there already\n',
  });
  t.match(called('images.push'), [{ image: 'app:1', target: 'reg.io/app:1', auth: { username: 'me', password: 'pass:word' } }]);
  await cli(['image', 'push', 'app:1']);
  t.match(called('images.push')[1], { target: '', auth: undefined });
});

t.test('the calls check their fields', async (t) => {
  const { harness } = await bench(t);
  const { client } = harness;
  const invalid = (message: RegExp) => ({ code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT', message });
  t.match(
    await failure(client.unary('LoadImages', { path: 'relative.tar' })),
    invalid(/^path is relative\.tar; an absolute path is needed/),
  );
  t.match(await failure(client.unary('LoadImages', {})), invalid(/^path is empty/));
  t.match(await failure(client.unary('PushImage', {})), invalid(/^image is empty/));
  t.match(await failure(client.all('SaveImages', { images: ['a', ''] })), invalid(/^images\[1\] is empty/));
  t.match(
    await failure(client.all('SaveImages', { images: ['a'], format: 9 as never })),
    invalid(/^format is 9, which is no ArchiveFormat/),
  );
});
