/** Which programs are there, and which OCI runtime really runs a container on this host? */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openCgroups } from '../../cgroup/index.ts';
import { type HandlerInfo, probe } from '../../runtime/index.ts';
import { findProgram, run } from '../../sys/index.ts';
import { type Check, type CheckGroup, type DoctorContext, fail, ok, warn } from './check.ts';
import { nearestDirectory } from './overlay.ts';

/** --version answers at once; more is a hang. */
const VERSION_TIMEOUT_MS = 5000;

export const programChecks: CheckGroup = {
  name: 'programs',
  async run(context: DoctorContext): Promise<Check[]> {
    const { conmon, pause } = context.config.runtime;
    return [
      ...runtimeChecks(await probeAll(context), context.config.runtime.defaultHandler),
      await programCheck('programs.conmon', conmon, 'install conmon (Debian: apt install conmon), or name it with runtime.conmon'),
      await programCheck('programs.pause', pause, 'install catatonit (Debian: apt install catatonit), or name another with runtime.pause'),
    ];
  },
};

async function probeAll({ config }: DoctorContext): Promise<HandlerInfo[]> {
  const cgroupDriver = openCgroups({ driver: config.cgroup.driver }).driver;
  const dir = await mkdtemp(join(nearestDirectory(config.root), '.berth-doctor-'));
  try {
    const found: HandlerInfo[] = [];
    for (const handler of config.runtime.handlers) {
      found.push((await probe(handler, { runtimeRoot: join(dir, 'state'), probeDir: join(dir, 'probe'), cgroupDriver })).info);
    }
    return found;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Judges the runtimes: one usable one is enough, unless the configured default is another. */
export function runtimeChecks(handlers: readonly HandlerInfo[], defaultHandler: string): Check[] {
  const first = handlers.find((handler) => handler.usable);
  const chosen = defaultHandler === '' ? first : handlers.find((handler) => handler.name === defaultHandler);
  const each = handlers.map((handler) => {
    const id = `runtime.${handler.name}`;
    if (handler.usable) return ok(id, `${handler.path} (${handler.version}) ran a container`);
    return warn(
      id,
      `${handler.path} cannot run a container here: ${handler.problem}`,
      'install or repair it, or take it out of runtime.handlers',
    );
  });
  if (chosen?.usable === true) return [...each, ok('runtime.default', `pods without a RuntimeClass run by ${chosen.name}`)];
  const message =
    defaultHandler === '' ? 'no OCI runtime can run a container' : `the default handler ${defaultHandler} cannot run a container`;
  return [...each, fail('runtime.default', message, 'install crun or runc (Debian: apt install crun runc) and read the lines above')];
}

async function programCheck(id: string, program: string, advice: string): Promise<Check> {
  const path = findProgram(program);
  if (path === undefined) return fail(id, `${program} is not installed`, advice);
  const result = await run({ argv: [path, '--version'], timeoutMs: VERSION_TIMEOUT_MS });
  const [version = ''] = result.stdout.toString().split('\n');
  if (result.timedOut || result.status.code === undefined) return fail(id, `${path} does not run`, advice);
  return ok(id, version.trim() === '' ? path : `${path} (${version.trim()})`);
}
