// `hack/demo`: a throw-away berth, from nothing to a running pod and back to nothing. Whatever happens (a failed step,
// Ctrl-C), everything that was started is taken down and the machine is compared with what it was before.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { endProcess, freePort, type ProcessRef } from '../background.ts';
import { machineState } from '../machine.ts';
import { pushTo, startRegistry } from '../registry.ts';
import { BERTH, describe, end, leftOver, start, type Throwaway } from '../throwaway.ts';
import { cgroupLayout, limitations } from './host.ts';
import { demoImage } from './image.ts';
import { interrupt, limitation, note, step } from './narrate.ts';
import { type Stage, showFigures, showImages, showOutOfMemory, showPod, showUse } from './steps.ts';

/** Where --keep writes down what --stop has to end. */
const KEPT_FILE = '/run/berth-demo.json';
const REGISTRY_GRACE_MS = 5000;

/** Everything that was started, as far as it was. */
interface Running {
  readonly before: string[];
  registryDir?: string;
  registry?: ProcessRef;
  place?: Throwaway;
  daemon?: ProcessRef;
}

const options = wishes();
const began = performance.now();
if (options.stop === true) process.exitCode = await stopKept();
else process.exitCode = await demo(options.image, options.keep === true);

/** The command line; ends the program where it is not understood. */
function wishes(): { image?: string; keep?: boolean; stop?: boolean } {
  try {
    return parseArgs({ options: { image: { type: 'string' }, keep: { type: 'boolean' }, stop: { type: 'boolean' } } }).values;
  } catch (error) {
    console.error(`hack/demo: ${error instanceof Error ? error.message : String(error)}; see hack/demo --help`);
    process.exit(2);
  }
}

async function demo(userImage: string | undefined, keep: boolean): Promise<number> {
  if (keep && existsSync(KEPT_FILE)) {
    console.error(`A demo is kept already (${KEPT_FILE}). End it with: hack/demo --stop`);
    return 1;
  }
  const running: Running = { before: machineState() };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(new Error(`interrupted by ${signal}`)));
  let failure: unknown;
  try {
    await perform(running, userImage);
  } catch (error) {
    failure = error;
    console.error(`\nThe demo stopped: ${error instanceof Error ? error.message : String(error)}`);
    if (running.place !== undefined) console.error(`The daemon’s log: ${saveLog(running.place)}`);
  }
  if (keep && failure === undefined) {
    sayKept(running);
    return 0;
  }
  step('And away');
  const clean = await takeDown(running);
  note(`${((performance.now() - began) / 1000).toFixed(1)} s`);
  return failure === undefined && clean ? 0 : 1;
}

async function perform(running: Running, userImage: string | undefined): Promise<void> {
  step('A throw-away berth and a registry, beside whatever runs on this machine');
  running.registryDir = mkdtempSync(join(tmpdir(), 'berth-demo-registry-'));
  const registry = await startRegistry(running.registryDir);
  running.registry = registry.process;
  const image = await pushTo(registry, demoImage(), { repository: 'demo/web', tag: '1' });
  const place = await describe({ name: 'demo' });
  running.place = place;
  running.daemon = await start(place);
  note(`socket ${place.socket}, state in ${place.dir}, bridge ${place.bridge}, pid ${running.daemon.pid}`);
  for (const line of await limitations(place)) limitation(line);
  const published = `127.0.0.1:${await freePort()}`;
  const stage: Stage = { place, image, userImage, published, cgroups: cgroupLayout() };
  for (const show of [showImages, showPod, showUse, showFigures, showOutOfMemory]) await show(stage);
}

function sayKept(running: Running): void {
  writeFileSync(KEPT_FILE, JSON.stringify(running), { mode: 0o600 });
  const { place } = running;
  step('It stays up');
  console.log(`
   The command line:  export BERTH_SOCKET=${place?.socket}
                      ${BERTH} ps
   crictl:            crictl --config ${writeCrictlConfig(place)} ps
   Figures:           curl http://${place?.metrics}/metrics/cadvisor
   The daemon’s log:  ${place?.logFile}

   End it:            hack/demo --stop`);
}

function writeCrictlConfig(place: Throwaway | undefined): string {
  const file = join(place?.dir ?? '', 'crictl.yaml');
  const endpoint = `unix://${place?.socket}`;
  writeFileSync(file, `runtime-endpoint: ${endpoint}\nimage-endpoint: ${endpoint}\ntimeout: 30\n`);
  return file;
}

async function stopKept(): Promise<number> {
  if (!existsSync(KEPT_FILE)) {
    console.error('No demo is kept: hack/demo --keep leaves one up.');
    return 1;
  }
  const clean = await takeDown(JSON.parse(readFileSync(KEPT_FILE, 'utf8')));
  rmSync(KEPT_FILE, { force: true });
  return clean ? 0 : 1;
}

/** Ends what was started, in the reverse order, and says whether the machine is as before. */
async function takeDown({ before, registryDir, registry, place, daemon }: Running): Promise<boolean> {
  const problems = place === undefined ? [] : await end(place, daemon);
  if (registry !== undefined) await endProcess(registry, REGISTRY_GRACE_MS);
  if (registryDir !== undefined) rmSync(registryDir, { recursive: true, force: true });
  const left = place === undefined ? [] : await leftOver(before, place);
  for (const problem of problems) note(`not clean: ${problem}`);
  for (const line of left) note(`left behind: ${line}`);
  if (problems.length + left.length === 0)
    note('pod, daemon and registry are gone; processes, mounts, links, cgroups and nft tables are as before');
  return problems.length + left.length === 0;
}

/** A log outlives the directory it was in. */
function saveLog(place: Throwaway): string {
  const saved = join(tmpdir(), 'berth-demo-failed.log');
  writeFileSync(saved, existsSync(place.logFile) ? readFileSync(place.logFile) : '');
  return saved;
}
