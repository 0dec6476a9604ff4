/**
 * Metrics: /metrics (berth's own) and /metrics/cadvisor (per container, in
 * cAdvisor's names), both tables of families shown through prom-client.
 */

import type { CgroupLayout } from '../cgroup/index.ts';
import type { PullObserver } from '../image/index.ts';
import type { Logger } from '../log/index.ts';
import { CadvisorEndpoint, type CadvisorSources, MACHINE_FAMILIES } from './cadvisor.ts';
import { CADVISOR_FAMILIES, RESTARTS_FAMILY } from './cadvisor-families.ts';
import type { FamilyDoc } from './family.ts';
import { OwnEndpoint, type OwnSources, type RpcObserver } from './own.ts';
import { OWN_FAMILIES } from './own-families.ts';
import { BASE_LABELS } from './rows.ts';
import { type Listening, serve } from './server.ts';

export type { FamilyDoc } from './family.ts';
export type { RpcObserver } from './own.ts';
export type { Listening } from './server.ts';

/** What is known before the services exist, which take the observers. */
export interface MetricsDeps {
  /** Version of berth. */
  version: string;
  layout: CgroupLayout;
  log: Logger;
}

/** Observers to hand to the parts that count, texts, and the server. */
export interface Metrics extends Disposable {
  readonly rpcObserver: RpcObserver;
  readonly pullObserver: PullObserver;
  /** Seconds a phase of a pod's or container's start took. */
  readonly phaseObserver: (phase: string, seconds: number) => void;
  /** Reads pods, containers and images from now on; before it their families are absent. */
  observe(sources: OwnSources & CadvisorSources): void;
  /** Text of /metrics/cadvisor. */
  cadvisor(): Promise<string>;
  /** Text of /metrics. */
  own(): Promise<string>;
  /** Serves both and /healthz on HOST:PORT; throws CONFIG_INVALID. */
  listen(address: string): Promise<Listening>;
}

/** The daemon's metrics; dispose it to stop measuring the event loop. */
export function createMetrics(deps: MetricsDeps): Metrics {
  const own = new OwnEndpoint(deps.version);
  const cadvisor = new CadvisorEndpoint(deps);
  const routes = {
    '/metrics': () => own.text(),
    '/metrics/cadvisor': () => cadvisor.text(),
    '/healthz': async () => 'ok\n',
  };
  return {
    rpcObserver: own.rpcObserver,
    pullObserver: own.pullObserver,
    phaseObserver: own.phaseObserver,
    observe: (sources) => {
      own.observe(sources);
      cadvisor.observe(sources);
    },
    cadvisor: routes['/metrics/cadvisor'],
    own: routes['/metrics'],
    listen: (address) => serve(address, routes, deps.log),
    [Symbol.dispose]: () => own[Symbol.dispose](),
  };
}

/** Every family of both endpoints, for docs/metrics.md. */
export function metricFamilies(): FamilyDoc[] {
  const cadvisor = [
    ...CADVISOR_FAMILIES.map((family) => ({ ...family, labels: [...BASE_LABELS, ...family.labels] })),
    RESTARTS_FAMILY,
    ...MACHINE_FAMILIES,
  ];
  const doc =
    (endpoint: FamilyDoc['endpoint']) =>
    (family: Omit<FamilyDoc, 'endpoint'>): FamilyDoc => {
      const { name, help, type, labels } = family;
      return { endpoint, name, help, type, labels };
    };
  return [...Object.values(OWN_FAMILIES).map(doc('/metrics')), ...cadvisor.map(doc('/metrics/cadvisor'))];
}
