import '../../fixtures/private-netns.ts';
// Pulls as their callers see them: a real daemon over its socket, and a registry that can be held up.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { buildImage } from '../../../hack/lib/image-builder.ts';
import { CriClient } from '../../fixtures/cri/client.ts';
import { startDaemon } from '../../fixtures/daemon.ts';
import { until } from '../../fixtures/eventually.ts';
import { startOddRegistry } from '../../fixtures/odd-registry.ts';
import { RecordingTerminal, runOn } from '../../fixtures/terminal.ts';

const CUT = 100_000;
const images = [0, 1].map(() =>
  buildImage({ layers: [{ entries: [{ path: 'small', content: 'x' }] }, { entries: [{ path: 'big', content: randomBytes(300_000) }] }] }),
);
const blobs = new Map(images.map((image) => [image.layers[1]!.digest, image.blobs.get(image.layers[1]!.digest)!]));
/** Answers for a big layer that stop after CUT bytes, while the registry holds. */
const held: ServerResponse[] = [];
let holds = true;
const registry = await startOddRegistry(t, images, (request, response) => {
  const blob = blobs.get(request.url?.split('/').at(-1) ?? '');
  if (!holds || blob === undefined) return false;
  const from = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const range = { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` };
  response.writeHead(from === 0 ? 200 : 206, { 'content-length': blob.length - from, ...(from === 0 ? {} : range) });
  response.write(blob.subarray(from, from + CUT));
  held.push(response);
  return true;
});
const [name, other] = images.map((_, tag) => `${registry.host}/app:${tag}`) as [string, string];
const daemon = await startDaemon(t);
const client = new CriClient(daemon.socket);
t.teardown(() => client[Symbol.dispose]());

const env = { BERTH_SOCKET: daemon.socket };
const pull = (image: string, timeoutMs = 60_000) => client.unary('PullImage', { image: { image } }, { deadline: Date.now() + timeoutMs });
const layersShown = async () => (await client.all('WatchPulls', { once: true }))[0]?.pulls.at(-1)?.layers ?? [];

/** Waits until the registry holds `count` answers and the daemon has what came of the last. */
async function untilHeld(count: number): Promise<ServerResponse> {
  await until(() => held.length === count, `the registry is asked ${count} times for a big layer`);
  while (((await layersShown())[1]?.downloadedBytes.toNumber() ?? 0) < CUT);
  return held[count - 1]!;
}

/** What pulls leave below the daemon's root but for parts. */
const remains = (): string[] => ['layers', 'content/blobs/sha256'].flatMap((dir) => readdirSync(join(daemon.root, dir)));
const parts = (): string[] => readdirSync(join(daemon.root, 'content/parts'));

t.test('a caller out of time is told so and leaves alone; the last one ends the download', async (t) => {
  await t.rejects(pull(name, 1), { code: 4 }, 'DEADLINE_EXCEEDED');
  const impatient = pull(name, 3_000);
  impatient.catch(() => undefined); // on a very slow machine it is out of time before it is looked at
  const patient = pull(name);
  const download = await untilHeld(1);
  await t.rejects(impatient, { code: 4 });
  t.notOk(download.destroyed, 'the other one still waits for it');
  const closed = once(download, 'close');
  patient.cancel();
  await t.rejects(patient, { code: 1 }, 'CANCELLED');
  await closed;
  await until(() => remains().length === 0, 'nothing of it is left');
  t.ok(parts().includes(`${images[0]!.layers[1]!.digest.slice(7)}.part`), 'but what came of the layer');
  const codes = (): unknown[] =>
    daemon
      .log()
      .filter((line) => line.rpc === 'PullImage')
      .map((line) => line.code);
  await until(() => codes().includes('CANCELLED') && codes().includes('DEADLINE_EXCEEDED'), 'each is told apart in the log');
});

t.test('pulls and metrics tell what goes on', async (t) => {
  const metrics = async (family: string): Promise<string[]> => {
    const text = await (await fetch(`${daemon.metricsUrl}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith(family));
  };
  const watching = new RecordingTerminal({ env });
  const watched = runOn(watching, ['pulls', '--watch']);
  const pulling = pull(name);
  const download = await untilHeld(2);
  const listed = await runOn(new RecordingTerminal({ env }), ['pulls']);
  t.match(listed.out, new RegExp(`${name} +Failed.*\\n${name} +Pulling +[01]/2 +195 KiB of 293 KiB +.* ${registry.host}`));
  t.match(await metrics('berth_image_pulls_in_flight{'), [/state="resolving"} 0/, /state="pulling"} 1/]);
  t.match(await metrics('berth_image_downloads_resumed_total'), [/ 1$/], 'the second download went on behind the part');
  await until(() => watching.stdout.includes('Pulling'), 'the pull is told');
  held.length = 0;
  holds = false;
  download.destroy(); // it goes on by itself
  t.equal((await pulling).imageRef, images[0]?.id);
  await until(() => watching.stdout.includes('Done'), 'its end is told');
  process.kill(process.pid, 'SIGINT');
  t.match(await watched, { code: 0, err: '' });
  t.match(watching.stdout, new RegExp(`Pulling +${name}.*\\n(.*\\n)*.*Done +${name} +2/2 layers, 293 KiB of 293 KiB`));
  t.same(parts(), []);
  t.match(await metrics('berth_image_pulls_in_flight{'), [/state="resolving"} 0/, /state="pulling"} 0/]);
  t.match(await metrics('berth_image_layer_unpack_seconds_count'), [/ [23]$/], 'the small layer may have been there before');
});

t.test('a daemon that stops gives up its downloads and goes on with them after the next start', async (t) => {
  holds = true;
  const pulling = pull(other);
  pulling.catch(() => undefined);
  await untilHeld(1);
  t.equal(await daemon.stop(), 0);
  await t.rejects(pulling);
  t.same(parts(), [`${images[1]!.layers[1]!.digest.slice(7)}.part`]);
  holds = false;
  await daemon.start();
  t.equal((await pull(other)).imageRef, images[1]?.id);
  t.match(await layersShown(), [{}, { resumedBytes: { low: CUT } }]);
  t.same(parts(), []);
});
