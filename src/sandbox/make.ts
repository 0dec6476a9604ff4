/**
 * Making a sandbox. The record is stored before the first side effect and
 * names everything that will be made, so that undoing needs nothing else:
 * a failed step, a crash and RemovePodSandbox all end in release().
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { inOwnTurn } from '../async/index.ts';
import type { Attachment } from '../network/index.ts';
import { loopbackUp, type ProcessRef, pinNamespaces, unmount } from '../sys/index.ts';
import { makeSandboxFiles, sandboxPaths } from './files.ts';
import type { SandboxHost } from './host.ts';
import { spawnPause } from './pause.ts';
import { applySysctls } from './sysctl.ts';
import type { SandboxRecord, SandboxSpec } from './types.ts';

/** Which namespaces a pod gets of its own, as pin files. */
export function plannedPins(spec: SandboxSpec, dir: string): SandboxRecord['pins'] {
  const pins: SandboxRecord['pins'] = {};
  if (spec.namespaces.network === 'pod') {
    pins.net = join(dir, 'net');
    pins.uts = join(dir, 'uts'); // a pod on the host's network keeps the host's name
  }
  if (spec.namespaces.ipc === 'pod') pins.ipc = join(dir, 'ipc');
  return pins;
}

/** Takes every step of RunPodSandbox after the record was stored. */
export async function makeSandbox(
  host: SandboxHost,
  record: Readonly<SandboxRecord>,
): Promise<{ pause: ProcessRef; network?: Attachment }> {
  const { spec, id } = record;
  const timed = timer(host);
  const paths = sandboxPaths(host.state, id);
  await makeSandboxFiles(paths, spec);
  timed('files');
  const cgroupPath = record.cgroupPath ?? host.defaultCgroupParent;
  await inOwnTurn(() => host.cgroups.create(cgroupPath));
  timed('cgroup');
  const pause = await inOwnTurn(() => pinAndPause(host, record));
  host.cgroups.add(cgroupPath, pause.pid);
  timed('namespaces');
  if (record.pins.net === undefined) return { pause };
  const network = await host.network.attach(
    {
      sandboxId: id,
      netnsPath: record.pins.net,
      pod: { name: spec.metadata.name, namespace: spec.metadata.namespace, uid: spec.metadata.uid },
      portMappings: spec.portMappings,
      annotations: spec.annotations,
      ...(spec.dns === undefined ? {} : { dns: spec.dns }),
      cgroupPath,
    },
    AbortSignal.timeout(NETWORK_DEADLINE_MS),
  );
  timed('network');
  return { pause, network };
}

/** A pod's network as a whole; each CNI plugin has its own, shorter deadline. Below kubelet's 4 min for RunPodSandbox. */
const NETWORK_DEADLINE_MS = 220_000;

function pinAndPause(host: SandboxHost, record: Readonly<SandboxRecord>): ProcessRef {
  const { spec, pins } = record;
  for (const pin of [pins.net, pins.ipc, pins.uts]) if (pin !== undefined) mkdirSync(join(pin, '..'), { recursive: true });
  let pause: ProcessRef | undefined;
  pinNamespaces({
    ...pins,
    ...(pins.uts === undefined ? {} : { hostname: spec.hostname }),
    newPidForChildren: spec.namespaces.pid !== 'node', // also for CONTAINER: a container may still ask for the pod's
    inside() {
      if (pins.net !== undefined) loopbackUp();
      applySysctls(spec.sysctls);
      pause = spawnPause({ binary: host.pauseBinary, state: host.state, sandboxId: record.id });
    },
  });
  if (pause === undefined) throw new Error('pinNamespaces returned without running its work');
  return pause;
}

/** Unmounts namespace pins. Idempotent. */
export function unpin(pins: SandboxRecord['pins']): void {
  for (const pin of Object.values(pins)) if (pin !== undefined) unmount(pin, { detach: true });
}

function timer(host: SandboxHost): (phase: string) => void {
  let last = performance.now();
  return (phase) => {
    const now = performance.now();
    host.phase(phase, (now - last) / 1000);
    last = now;
  };
}
