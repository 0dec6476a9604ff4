/**
 * The daemon put together: every part is made here, handed its ports, and
 * taken down in the opposite order. Pods are left running: a stop of the
 * daemon is no different from its death, only tidier.
 */
import { join } from 'node:path';
import { type Cgroups, openCgroups } from './cgroup/index.ts';
import { claimHost } from './claims.ts';
import type { Config } from './config/index.ts';
import { type ContainerRecord, Containers, containerPaths, gatherHostFacts } from './container/index.ts';
import { type CriDependencies, claimSocketPath, serveCri } from './cri/index.ts';
import { RuntimeError } from './errors/index.ts';
import { EventBus } from './events/index.ts';
import { createImageService } from './image/index.ts';
import type { Logger } from './log/index.ts';
import { createMetrics, type Metrics } from './metrics/index.ts';
import { createPodNetwork, type PodNetwork } from './network/index.ts';
import { createOciRuntime } from './runtime/index.ts';
import { type PodEvent, Sandboxes, type SandboxRecord } from './sandbox/index.ts';
import { Trash, upperDir, usage } from './snapshot/index.ts';
import { createSampler, type WritableLayerStats } from './stats/index.ts';
import { openStore, Records, type Store, type StoreOptions } from './store/index.ts';
import { ExitWaiter, findProgram, nowNs } from './sys/index.ts';
import { VERSION } from './version.ts';

/** The daemon while it serves; disposing it ends it and leaves the pods. */
export interface Daemon extends AsyncDisposable {
  /** HOST:PORT of the metrics, or '' when they are off. */
  readonly metricsAddress: string;
}

/** The clean-up of attachments at start is given this long; kubelet is waiting meanwhile. */
const COLLECT_DEADLINE_MS = 60_000;

/** Makes every part, matches the store with the machine, and serves. */
export async function startDaemon(config: Config, log: Logger): Promise<Daemon> {
  await using stack = new AsyncDisposableStack();
  await claimSocketPath(config.socket); // again when it is bound; a second daemon must end before it touches anything
  stack.use(await claimHost(config));
  const damaged: StoreOptions['damaged'] = (row) => log.error(row, 'a damaged row of the store is left out; what it stood for is removed');
  const store = stack.use(openStore({ path: join(config.root, 'berth.db'), damaged }));
  const cgroups = openCgroups({ driver: config.cgroup.driver });
  const metrics = stack.use(createMetrics({ version: VERSION, layout: cgroups.layout, log }));
  const parts = await makeParts({ config, log, store, cgroups, metrics }, stack);
  metrics.observe(parts);
  const dependencies = { ...parts, config, version: VERSION, proven: PROVEN, nowNs };
  const server = stack.use(await serveCri({ socket: config.socket, log, observer: metrics.rpcObserver, dependencies }));
  await parts.sandboxes.recover();
  await parts.containers.recover();
  await collectNetwork(parts.network, parts.sandboxes, log);
  const listening = config.metrics.address === '' ? undefined : await metrics.listen(config.metrics.address);
  if (listening !== undefined) stack.defer(() => listening.close());
  server.ready();
  parts.images.beginImport(); // before any call is answered: a pull that comes now waits for it
  const owned = stack.move();
  return { metricsAddress: listening?.address ?? '', [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Nothing is advertised before a test proves it end to end (test/system/daemon/conformance.test.ts). */
const PROVEN: CriDependencies['proven'] = { recursiveReadOnlyMounts: true, userNamespaces: false, supplementalGroupsPolicy: true };

interface Base {
  config: Config;
  log: Logger;
  store: Store;
  cgroups: Cgroups;
  metrics: Metrics;
}

async function makeParts({ config, log, store, cgroups, metrics }: Base, stack: AsyncDisposableStack) {
  const waiter = stack.adopt(new ExitWaiter(), (each) => each.close());
  const events = stack.adopt(new EventBus<PodEvent>(), (each) => each.close());
  const trash = stack.adopt(new Trash(join(config.root, 'trash'), log), (each) => each.close());
  const network = stack.adopt(makeNetwork(config, store, log), (each) => each.close());
  const images = stack.adopt(
    createImageService({ root: config.root, store, config: config.images, trash, logger: log, observer: metrics.pullObserver }),
    (each) => each.close(),
  );
  const runtime = stack.adopt(
    await createOciRuntime({
      handlers: config.runtime.handlers,
      defaultHandler: config.runtime.defaultHandler,
      conmon: config.runtime.conmon,
      exitDir: join(config.state, 'exits'),
      runtimeRoot: join(config.state, 'oci'),
      probeDir: join(config.root, 'probe'),
      cgroupDriver: cgroups.driver,
      joinCgroup: (path, pid) => cgroups.add(path, pid),
      waiter,
      logger: log,
    }),
    (each) => each.close(),
  );
  const shared = { cgroups, runtime, events, log, state: config.state, phase: metrics.phaseObserver };
  const sandboxes = new Sandboxes({
    ...shared,
    records: new Records<SandboxRecord>(store.table('sandboxes'), { noun: 'pod sandbox', notFound: 'SANDBOX_NOT_FOUND' }),
    network,
    exits: waiter,
    pauseBinary: pauseBinary(config.runtime.pause),
    defaultCgroupParent: config.cgroup.defaultParent,
  });
  const containers = new Containers({
    ...shared,
    records: new Records<ContainerRecord>(store.table('containers'), { noun: 'container', notFound: 'CONTAINER_NOT_FOUND' }),
    sandboxes,
    images,
    trash,
    root: config.root,
    facts: gatherHostFacts(cgroups.layout),
    pidsLimit: config.runtime.pidsLimit,
  });
  sandboxes.useContainers(containers);
  const sampler = stack.adopt(
    createSampler({
      sandboxes,
      containers,
      cgroups,
      network,
      writableLayer: (id) => measureLayer(config, id),
      defaultCgroupParent: config.cgroup.defaultParent,
      log,
    }),
    (each) => each.close(),
  );
  return { events, network, images, runtime, sandboxes, containers, sampler, cgroups };
}

function makeNetwork(config: Config, store: Store, log: Logger): PodNetwork {
  return createPodNetwork({
    config: config.network,
    attachments: store.table('attachments'),
    addresses: store.table('addresses'),
    settings: store.table('settings'),
    log,
  });
}

function pauseBinary(name: string): string {
  const path = findProgram(name);
  if (path !== undefined) return path;
  const message = `the pause program ${name} (runtime.pause) is not installed; install the package catatonit or name another`;
  throw new RuntimeError('precondition', 'PROGRAM_MISSING', message);
}

/** Bytes and inodes of a container's writable layer; walked on another thread. */
async function measureLayer(config: Config, id: string): Promise<WritableLayerStats> {
  const { layer } = containerPaths(config, id);
  const { usedBytes, inodesUsed } = await usage(upperDir(layer));
  return { timestampNs: nowNs(), mountpoint: config.root, usedBytes, inodesUsed };
}

async function collectNetwork(network: PodNetwork, sandboxes: Sandboxes, log: Logger): Promise<void> {
  const live = new Set<string>(sandboxes.list({}).map(({ id }) => id));
  try {
    const { removed } = await network.collect(live, AbortSignal.timeout(COLLECT_DEADLINE_MS));
    if (removed.length > 0) log.warn({ removed }, 'network attachments of unknown sandboxes were removed');
  } catch (error) {
    // pods can run all the same; what is left is tried again at the next start
    log.error({ err: error }, 'network attachments of unknown sandboxes could not all be removed');
  }
}
