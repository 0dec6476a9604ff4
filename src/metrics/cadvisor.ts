/** /metrics/cadvisor: one sample, one table, one text. Scrapes at the same time share a run. */
import { availableParallelism, totalmem } from 'node:os';
import { Registry } from 'prom-client';
import type { CgroupLayout } from '../cgroup/index.ts';
import type { ContainerRecord, ContainerService } from '../container/index.ts';
import type { Logger } from '../log/index.ts';
import type { Sampler, SandboxSample } from '../stats/index.ts';
import { CADVISOR_FAMILIES, type CadvisorFamily, type Controller, RESTARTS_FAMILY } from './cadvisor-families.ts';
import { Devices } from './devices.ts';
import { type Put, registerFamilies, registerFilled, render } from './exposition.ts';
import { BASE_LABELS, type Row, rowsOf } from './rows.ts';

/** What the rows are read from. */
export interface CadvisorSources {
  sampler: Pick<Sampler, 'sample'>;
  containers: Pick<ContainerService, 'list'>;
}

/** What is known from the start. */
export interface CadvisorDeps {
  layout: Pick<CgroupLayout, 'controllers' | 'mode'>;
  log: Logger;
}

/** Figures of the machine that dashboards divide by. */
export const MACHINE_FAMILIES = [
  { name: 'machine_cpu_cores', help: 'CPUs of the machine', type: 'gauge', labels: [], value: availableParallelism },
  { name: 'machine_memory_bytes', help: 'Memory of the machine', type: 'gauge', labels: [], value: totalmem },
] as const;

/** v1 calls the io controller blkio. */
function has(layout: CadvisorDeps['layout'], controller: Controller): boolean {
  const name = controller === 'io' && layout.mode !== 'v2' ? 'blkio' : controller;
  return layout.controllers.includes(name);
}

/** Families this host has figures for. */
function availableFamilies(layout: CadvisorDeps['layout']): CadvisorFamily[] {
  return CADVISOR_FAMILIES.filter((family) => family.needs === undefined || has(layout, family.needs));
}

export class CadvisorEndpoint {
  #sources: CadvisorSources | undefined;
  readonly #registry = new Registry();
  readonly #devices: Devices;
  #pods: readonly SandboxSample[] = [];
  #containers: readonly Readonly<ContainerRecord>[] = [];
  #rows: readonly Row[] = [];
  #running: Promise<string> | undefined;

  constructor(deps: CadvisorDeps) {
    this.#devices = new Devices(deps.log);
    registerFamilies(this.#registry, availableFamilies(deps.layout), { labels: BASE_LABELS, rows: () => this.#rows });
    registerFilled(this.#registry, RESTARTS_FAMILY, (put) => this.#putRestarts(put));
    for (const family of MACHINE_FAMILIES) registerFilled(this.#registry, family, (put) => put({}, family.value()));
  }

  /** Reads the pods from now on; before it there are none. */
  observe(sources: CadvisorSources): void {
    this.#sources = sources;
  }

  /** The text, of a sample at most a second old. */
  async text(): Promise<string> {
    this.#running ??= this.#render().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #render(): Promise<string> {
    const pods = (await this.#sources?.sampler.sample()) ?? [];
    const layers = pods.flatMap((pod) => pod.containers.flatMap(({ writableLayer }) => writableLayer?.mountpoint ?? []));
    const volumes = await this.#devices.volumes(layers);
    const containers = this.#sources?.containers.list({}) ?? [];
    this.#pods = pods;
    this.#containers = containers;
    this.#rows = rowsOf({ pods, containers, volumes, deviceName: (device) => this.#devices.name(device) });
    const text = await render(this.#registry);
    this.#rows = []; // the sample is the sampler's to keep
    this.#pods = [];
    this.#containers = [];
    return text;
  }

  #putRestarts(put: Put): void {
    const byPod = Map.groupBy(this.#containers, (record) => record.sandboxId);
    for (const { record } of this.#pods) {
      const { name: pod, namespace } = record.spec.metadata;
      const newest = new Map<string, number>();
      for (const { spec } of byPod.get(record.id) ?? []) {
        newest.set(spec.metadata.name, Math.max(newest.get(spec.metadata.name) ?? 0, spec.metadata.attempt));
      }
      for (const [container, attempt] of newest) put({ container, namespace, pod }, attempt);
    }
  }
}
