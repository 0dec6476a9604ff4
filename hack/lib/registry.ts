// A real registry (Debian's docker-registry) on a free loopback port, with its data in a directory of the caller's.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePort, isRunning, type ProcessRef, startInBackground } from './background.ts';
import { type BuiltImage, pushImage } from './image-builder.ts';

const START_DEADLINE_MS = 20_000;

export interface RunningRegistry {
  /** 127.0.0.1:PORT, as image references begin. */
  readonly host: string;
  readonly process: ProcessRef;
}

/** Starts one under `dir`. Its owner ends the process and deletes the directory. */
export async function startRegistry(dir: string): Promise<RunningRegistry> {
  mkdirSync(dir, { recursive: true });
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(dir, 'config.yml');
  writeFileSync(
    config,
    [
      'version: 0.1',
      'log: {level: error, accesslog: {disabled: true}}',
      `storage: {filesystem: {rootdirectory: "${dir}/data"}}`,
      `http: {addr: "${host}"}`,
      '',
    ].join('\n'),
  );
  const logFile = join(dir, 'registry.log');
  const process = await startInBackground(['docker-registry', 'serve', config], { logFile });
  const answers = async () => {
    if (!isRunning(process)) throw new Error(`docker-registry ended at once; its log: ${logFile}`);
    const response = await fetch(`http://${host}/v2/`).catch(() => undefined); // refused until it listens
    await response?.arrayBuffer();
    return response?.ok === true;
  };
  if (!(await eventually(answers, START_DEADLINE_MS))) throw new Error(`docker-registry does not answer at ${host}; its log: ${logFile}`);
  return { host, process };
}

/** Pushes `image` as HOST/REPOSITORY:TAG and returns that reference. */
export async function pushTo(registry: RunningRegistry, image: BuiltImage, name: { repository: string; tag: string }): Promise<string> {
  await pushImage(image, { url: `http://${registry.host}`, repository: name.repository, reference: name.tag });
  return `${registry.host}/${name.repository}:${name.tag}`;
}
