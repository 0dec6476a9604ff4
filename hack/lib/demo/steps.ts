// What the demo shows, step by step, through the `berth` command line as a person would use it.
import { setTimeout as delay } from 'node:timers/promises';
import { berth, type Throwaway } from '../throwaway.ts';
import { HTTP_PORT } from './image.ts';
import { answer, askBerth, limitation, note, showBerth, step, typed, until } from './narrate.ts';

const STATE_DEADLINE_MS = 15_000;
const HTTP_DEADLINE_MS = 10_000;
const RATE_MS = 1500;
/** What the sidecar may have, and what the doomed container asks for. */
const HOG_LIMIT = '16Mi';
const HOG_WANTS = '64M';

export interface Stage {
  readonly place: Throwaway;
  /** Of the demo's own image. */
  readonly image: string;
  /** An image of the user's, run beside it. */
  readonly userImage: string | undefined;
  /** 127.0.0.1:PORT that the pod publishes. */
  readonly published: string;
  /** 'v2', or what is there instead. */
  readonly cgroups: string;
}

/** The pull and what it left in the store. */
export async function showImages(stage: Stage): Promise<void> {
  step('An image from a real registry');
  note('three layers made on the spot from busybox-static, served by docker-registry on loopback');
  await showBerth(stage.place, ['pull', stage.image], { live: true });
  if (stage.userImage !== undefined) await showBerth(stage.place, ['pull', stage.userImage], { live: true });
  await showBerth(stage.place, ['images']);
}

/** A pod of two containers with limits and a published port. */
export async function showPod(stage: Stage): Promise<void> {
  const { place, image, published, userImage } = stage;
  step('A pod of two containers, with limits and a published port');
  const limits = ['--cpus', '0.5', '--memory', '64Mi'];
  await showBerth(place, ['run', '--name', 'web', ...limits, '--publish', `${published}:${HTTP_PORT}`, image]);
  const loop = `while sleep 1; do echo "the page has $(wget -qO- 127.0.0.1:${HTTP_PORT} | wc -c) bytes"; done`;
  const sidecar = ['run', '--pod', 'web', '--name', 'watch', '--cpus', '0.1', '--memory', '32Mi', image, '--', 'sh', '-c', loop];
  await showBerth(place, sidecar);
  note('the second container reaches the first one on loopback: they share the pod’s network');
  if (userImage !== undefined) await showBerth(place, ['run', '--pod', 'web', '--name', 'yours', '--memory', '256Mi', userImage]);
  await showBerth(place, ['pods', '-o', 'wide']);
  await showBerth(place, ['ps']);
}

/** Logs, exec and the page through the published port. */
export async function showUse(stage: Stage): Promise<void> {
  const { place, published, userImage } = stage;
  step('Into it: an HTTP answer through the published port, log lines, a command');
  const url = `http://${published}/cgi-bin/whoami`;
  typed(['curl', url]);
  answer(await page(url));
  await until(() => berth(place, 'logs', 'watch').stdout.includes('page'), STATE_DEADLINE_MS);
  await showBerth(place, ['logs', '--timestamps', '--tail', '3', 'watch']);
  if (userImage !== undefined) await showBerth(place, ['logs', '--tail', '5', 'yours']);
  await showBerth(place, ['exec', 'web', '--', 'cat', '/etc/motd']);
  const limitFile = stage.cgroups === 'v2' ? '/sys/fs/cgroup/memory.max' : '/sys/fs/cgroup/memory/memory.limit_in_bytes';
  await showBerth(place, ['exec', 'web', '--', 'cat', limitFile]);
}

async function page(url: string): Promise<string> {
  let text = '';
  const answered = await until(async () => {
    const response = await fetch(url).catch(() => undefined); // refused until httpd listens
    text = (await response?.text()) ?? '';
    return response?.ok === true;
  }, HTTP_DEADLINE_MS);
  if (!answered) throw new Error(`${url} did not answer: ${text}`);
  return text;
}

/** Of each family the first line that matches, in this order. */
const SHOWN_METRICS = [
  'cpu_usage_seconds_total',
  'memory_working_set_bytes',
  'spec_memory_limit_bytes',
  'processes',
  'fs_writes_bytes_total',
].map((name) => new RegExp(`^container_${name}\\{[^}]*\\bcontainer="web"`));
const SHOWN_POD_METRICS = [/^container_network_receive_bytes_total\{/];
const SHOWN_OWN_METRICS = [
  /^berth_image_pull_bytes_total/,
  /^berth_image_pull_duration_seconds_sum/,
  /^berth_rpc_duration_seconds_count\{[^}]*RunPodSandbox/,
  /^berth_rpc_duration_seconds_sum\{[^}]*RunPodSandbox/,
  /^berth_event_loop_lag_seconds\{stat="max"/,
  /^process_resident_memory_bytes/,
];
const ID = /\b([0-9a-f]{12})[0-9a-f]{52}\b/g;

/** Figures, for people and for Prometheus. */
export async function showFigures(stage: Stage): Promise<void> {
  const { place } = stage;
  step('What it uses');
  // A rate needs two samples.
  berth(place, 'stats');
  await delay(RATE_MS);
  await showBerth(place, ['stats']);
  await showMetrics(`http://${place.metrics}/metrics/cadvisor`, [...SHOWN_METRICS, ...SHOWN_POD_METRICS]);
  await showMetrics(`http://${place.metrics}/metrics`, SHOWN_OWN_METRICS);
}

async function showMetrics(url: string, shown: readonly RegExp[]): Promise<void> {
  typed(['curl', url]);
  const lines = (await page(url)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const picked = shown.flatMap((pattern) => lines.find((line) => pattern.test(line)) ?? []);
  answer(picked.map((line) => line.replaceAll(ID, '$1…')).join('\n'));
  note(`(${picked.length} of ${lines.length} lines)`);
}

/** A container that wants more memory than it may have. */
export async function showOutOfMemory(stage: Stage): Promise<void> {
  const { place, image } = stage;
  step('A container that runs out of memory');
  note(`it may have ${HOG_LIMIT} and reads a block of ${HOG_WANTS} into memory`);
  const greedy = ['sh', '-c', `echo asking for ${HOG_WANTS}; dd if=/dev/zero of=/dev/null bs=${HOG_WANTS} count=1`];
  await showBerth(place, ['run', '--pod', 'web', '--name', 'hog', '--memory', HOG_LIMIT, image, '--', ...greedy]);
  const ended = await until(async () => isExited(await askBerth(place, ['ps', '--all', '--name', 'hog', '-o', 'json'])), STATE_DEADLINE_MS);
  if (!ended) throw new Error(`the container with a limit of ${HOG_LIMIT} did not end`);
  await showBerth(place, ['ps', '--all']);
  const { status } = (await askBerth(place, ['inspect', '--type', 'container', 'hog'])) as { status?: Record<string, unknown> };
  const { state, reason, exitCode, message } = status ?? {};
  typed(['berth', 'inspect', 'hog']);
  answer(`state ${state}, reason ${reason}, exit code ${exitCode}${message ? `\n${message}` : ''}`);
  if (reason !== 'OOMKilled') limitation(`the kernel’s out-of-memory kill is reported as ${reason}`);
}

function isExited(list: unknown): boolean {
  const { containers } = list as { containers?: { state?: unknown }[] };
  return containers?.some(({ state }) => state === 'CONTAINER_EXITED') === true;
}
