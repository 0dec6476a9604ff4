/**
 * A pod on a CNI network: the plugins of the configuration one after the
 * other. The row is the truth: it is written before the first ADD with the
 * configuration as used, grows with every result, and goes when every DEL has
 * succeeded. Invariant: no plugin has run for a sandbox without a row.
 *
 *   (no row) ─put─► adding ─every ADD─► added
 *                     │ an ADD failed      │ detach
 *                     ▼                    ▼
 *                   DEL in reverse ─all succeeded─► (no row)
 *                     └─ one failed: the row stays, the next detach tries again
 */
import { statfsSync } from 'node:fs';
import { isRuntimeError, messageOf, RuntimeError } from '../../errors/index.ts';
import type { Logger } from '../../log/index.ts';
import { type Attachments, type CniAttachmentRow, POD_INTERFACE, podName } from '../attachments.ts';
import { refuseTakenByHost, refuseTakenByPods } from '../host-ports.ts';
import type { Attachment, AttachRequest, PortMapping } from '../types.ts';
import type { NetworkConfig } from './config.ts';
import { runPlugin } from './plugin.ts';
import { podAddresses } from './result.ts';
import { capabilityArguments, withRuntimeConfig } from './runtime-config.ts';

/** What a CNI network works with. */
export interface CniOptions {
  binDirs: readonly string[];
  /** Time of one run of one plugin. */
  timeoutMs: number;
  attachments: Attachments;
  /** Pod CIDRs that kubelet told, for plugins that declare ipRanges. */
  podSubnets: () => string[];
  log: Logger;
}

/** linux/magic.h NSFS_MAGIC: the file system of pinned namespaces. */
const NSFS_MAGIC = 0x6e736673;

/** Runs CNI plugins for pods. Callers keep calls for one sandbox in order. */
export class CniNetwork {
  readonly #options: CniOptions;

  constructor(options: CniOptions) {
    this.#options = options;
  }

  /** Runs ADD of every plugin. When one fails, DEL of all is run before the failure is told. */
  async attach(config: NetworkConfig, request: AttachRequest, portMappings: PortMapping[], signal: AbortSignal): Promise<Attachment> {
    const row = await this.#begin(config, request, portMappings);
    const timings: Attachment['timings'] = [];
    try {
      for (const plugin of row.plugins) {
        const started = performance.now();
        const result = await this.#run('ADD', row, plugin, signal);
        timings.push({ step: `${plugin.type} ADD`, ms: performance.now() - started });
        if (result !== undefined) row.result = result;
        this.#put(row);
      }
      const ips = podAddresses(row.result, POD_INTERFACE);
      if (ips.length === 0) {
        throw new RuntimeError(
          'internal',
          'CNI_FAILED',
          `the CNI network ${row.network} gave the pod ${podName(row)} no address on ${POD_INTERFACE}; check the ipam section of ${config.source}`,
        );
      }
      row.state = 'added';
      this.#put(row);
      return { mode: 'cni', ips, interfaceName: POD_INTERFACE, portMappings, timings };
    } catch (error) {
      await this.#undo(row);
      throw error;
    }
  }

  /**
   * Runs DEL of every plugin in reverse with the configuration of its ADD and
   * removes the row. Goes on after a failure, so that one plugin does not keep
   * the others' resources, and throws the first.
   */
  async detach(row: CniAttachmentRow, netnsPath: string | undefined, signal: AbortSignal): Promise<void> {
    const netns = netnsPath !== undefined && isNamespace(netnsPath) ? netnsPath : '';
    const failures: unknown[] = [];
    for (const plugin of row.plugins.toReversed()) {
      try {
        await this.#run('DEL', { ...row, netnsPath: netns }, plugin, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        this.#options.log.warn(
          { pod: podName(row), network: row.network, plugin: plugin.type, reason: messageOf(error) },
          'CNI DEL failed',
        );
        // A plugin that was uninstalled cannot be waited for: the pod must be able to go.
        if (!isRuntimeError(error, 'CNI_PLUGIN_MISSING')) failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    this.#options.attachments.delete(row.sandboxId);
  }

  /** Claims the host ports with the row; no plugin has run when this throws. */
  async #begin(config: NetworkConfig, request: AttachRequest, portMappings: PortMapping[]): Promise<CniAttachmentRow> {
    const args = capabilityArguments(request, portMappings, this.#options.podSubnets());
    refuseTakenByPods(portMappings, this.#options.attachments.all());
    const row: CniAttachmentRow = {
      mode: 'cni',
      state: 'adding',
      sandboxId: request.sandboxId,
      pod: request.pod,
      netnsPath: request.netnsPath,
      portMappings,
      network: config.name,
      cniVersion: config.cniVersion,
      plugins: config.plugins.map((plugin) => withRuntimeConfig(plugin, args)),
      args: cniArgs(request),
    };
    this.#put(row);
    try {
      await refuseTakenByHost(portMappings);
    } catch (error) {
      this.#options.attachments.delete(row.sandboxId);
      throw error;
    }
    return row;
  }

  async #undo(row: CniAttachmentRow): Promise<void> {
    try {
      // Not the caller's signal: who gave up on ADD still wants it undone. Each plugin has its own time.
      await this.detach(row, row.netnsPath, new AbortController().signal);
    } catch (error) {
      this.#options.log.warn(
        { pod: podName(row), reason: messageOf(error) },
        'undoing a failed CNI ADD failed; it is kept for the next try',
      );
    }
  }

  async #run(
    command: 'ADD' | 'DEL',
    row: CniAttachmentRow,
    plugin: CniAttachmentRow['plugins'][number],
    signal: AbortSignal,
  ): Promise<unknown> {
    const prevResult = needsPrevResult(command, row.cniVersion) && row.result !== undefined ? { prevResult: row.result } : {};
    return runPlugin({
      command,
      type: plugin.type,
      binDirs: this.#options.binDirs,
      config: { ...plugin, cniVersion: row.cniVersion, name: row.network, ...prevResult },
      containerId: row.sandboxId,
      netnsPath: row.netnsPath,
      interfaceName: POD_INTERFACE,
      args: row.args,
      subject: `network ${row.network}, pod ${podName(row)}`,
      timeoutMs: this.#options.timeoutMs,
      signal,
    });
  }

  #put(row: CniAttachmentRow): void {
    this.#options.attachments.put(row);
  }
}

/** DEL gets prevResult since 0.4.0; the chain of ADDs always had it. */
const needsPrevResult = (command: 'ADD' | 'DEL', cniVersion: string): boolean => command === 'ADD' || !cniVersion.startsWith('0.3.');

/** CNI_ARGS of Kubernetes (containerd and CRI-O send the same). */
function cniArgs({ pod, sandboxId }: AttachRequest): string {
  const pairs = {
    IgnoreUnknown: '1',
    K8S_POD_NAMESPACE: pod.namespace,
    K8S_POD_NAME: pod.name,
    K8S_POD_INFRA_CONTAINER_ID: sandboxId,
    K8S_POD_UID: pod.uid,
  };
  return Object.entries(pairs)
    .map(([key, value]) => `${key}=${value}`)
    .join(';');
}

/** True while a namespace is pinned there; after a reboot the file may be there without one. */
function isNamespace(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false; // gone, which is what DEL is told by an empty CNI_NETNS
  }
}
