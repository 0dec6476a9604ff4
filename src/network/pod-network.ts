/**
 * The pod network as the daemon sees it. It decides, pod by pod, which kind
 * of network a new pod gets - CNI when a configuration exists, else the
 * embedded bridge - and leads a detach to the kind the pod was attached with,
 * whatever is configured by then. Work on one sandbox is in order; sandboxes
 * do not wait for each other.
 */
import { abortError, KeyedQueue, Limiter } from '../async/index.ts';
import type { Config } from '../config/index.ts';
import { isRuntimeError, messageOf, RuntimeError } from '../errors/index.ts';
import type { Logger } from '../log/index.ts';
import type { Table } from '../store/index.ts';
import { findProgram } from '../sys/index.ts';
import { type AttachmentRow, Attachments, podName } from './attachments.ts';
import { CniNetwork } from './cni/network.ts';
import { findPlugin } from './cni/plugin.ts';
import { CniSource, type CniState } from './cni/source.ts';
import type { AddressRow } from './embedded/addresses.ts';
import { formatSubnet, parsePodCidr, type Subnet } from './embedded/cidr.ts';
import { EmbeddedNetwork } from './embedded/network.ts';
import { publishing } from './host-ports.ts';
import { readInterfaceStats } from './interface-stats.ts';
import type { Attachment, AttachRequest, InterfaceStats, NetworkStatus, PodNetwork } from './types.ts';

/** What the pod network works with; the tables are those of the store by the same names. */
export interface PodNetworkOptions {
  config: Config['network'];
  attachments: Table<AttachmentRow>;
  addresses: Table<AddressRow>;
  settings: Table<unknown>;
  log: Logger;
}

/** Row of `settings`: the pod CIDR that kubelet told. */
const POD_CIDR = 'network.podCidr';
/** Left-over attachments undone at once: plugins are programs, and a start shares the node with what runs. */
const COLLECT_LIMIT = 4;
const NOT_READY = 'NetworkPluginNotReady';

/** The pod network of a daemon. Reads the CNI configuration before it returns; throws INVALID_ARGUMENT for a malformed configured pod CIDR. */
export function createPodNetwork(options: PodNetworkOptions): PodNetwork {
  return new ChosenNetwork(options);
}

class ChosenNetwork implements PodNetwork {
  readonly #options: PodNetworkOptions;
  readonly #queue = new KeyedQueue<string>();
  readonly #attachments: Attachments;
  readonly #source: CniSource;
  readonly #cni: CniNetwork;
  readonly #embedded: EmbeddedNetwork;
  readonly #configuredSubnets: Subnet[];
  #status: NetworkStatus;
  #trouble = '';

  constructor(options: PodNetworkOptions) {
    const { config, log } = options;
    const attachments = new Attachments(options.attachments);
    this.#options = options;
    this.#attachments = attachments;
    this.#configuredSubnets = parsePodCidr(config.podCidr, 'network.pod_cidr');
    this.#cni = new CniNetwork({
      binDirs: config.cniBinDirs,
      timeoutMs: config.cniTimeoutMs,
      attachments,
      podSubnets: () => (this.#toldCidr() === undefined ? [] : this.#subnets().map(formatSubnet)),
      log,
    });
    this.#embedded = new EmbeddedNetwork({
      bridge: config.bridge,
      mtu: config.mtu,
      attachments,
      addresses: options.addresses,
      settings: options.settings,
      subnets: () => this.#subnets(),
      log,
    });
    const onChange = (state: CniState): void => this.#changed(state);
    this.#source = new CniSource(config.cniConfDir, onChange, () => this.#heal());
    this.#status = this.#look();
  }

  status(): NetworkStatus {
    return this.#status;
  }

  async attach(request: AttachRequest, signal: AbortSignal): Promise<Attachment> {
    return this.#queue.run(request.sandboxId, async () => {
      if (signal.aborted) throw abortError(signal);
      await this.#detachRow(request.sandboxId, request.netnsPath, signal); // what an attempt before a crash left
      const state = this.#source.state;
      if (state.kind === 'broken') throw state.error;
      if (state.kind === 'none' && !this.#options.config.embedded) throw this.#noNetwork();
      const portMappings = publishing(request.portMappings);
      if (state.kind === 'none') return this.#embedded.attach(request, portMappings);
      return this.#cni.attach(state.config, request, portMappings, signal);
    });
  }

  async detach(sandboxId: string, netnsPath: string | undefined, signal: AbortSignal): Promise<void> {
    return this.#queue.run(sandboxId, () => this.#detachRow(sandboxId, netnsPath, signal));
  }

  async collect(live: ReadonlySet<string>, signal: AbortSignal): Promise<{ removed: string[] }> {
    const stale = this.#attachments.all().filter((row) => !live.has(row.sandboxId));
    const limiter = new Limiter(COLLECT_LIMIT);
    const outcomes = await Promise.all(stale.map((row) => limiter.run(() => this.#collectRow(row, signal), signal)));
    const removed = outcomes.filter((outcome) => outcome !== undefined);
    removed.push(...(await this.#embedded.collect()));
    return { removed };
  }

  stats(netnsPath: string): InterfaceStats[] {
    return readInterfaceStats(netnsPath);
  }

  setPodCidr(cidr: string): void {
    if (cidr === '') return;
    parsePodCidr(cidr, 'the pod CIDR');
    if (cidr === this.#toldCidr()) return;
    this.#options.settings.put(POD_CIDR, cidr);
    this.#options.log.info({ podCidr: cidr }, 'pod CIDR set');
    this.#status = this.#look();
  }

  async close(): Promise<void> {
    this.#source[Symbol.dispose]();
    await this.#embedded.close();
  }

  /** Says what was removed; one pod's plugin must not keep the daemon from starting, so a row whose DEL fails stays for the next start. */
  async #collectRow(row: AttachmentRow, signal: AbortSignal): Promise<string | undefined> {
    try {
      await this.detach(row.sandboxId, row.netnsPath, signal);
      return `attachment of ${podName(row)}`;
    } catch (error) {
      if (signal.aborted) throw error;
      this.#options.log.warn({ pod: podName(row), reason: messageOf(error) }, 'a left-over network attachment could not be removed');
      return undefined;
    }
  }

  async #detachRow(sandboxId: string, netnsPath: string | undefined, signal: AbortSignal): Promise<void> {
    const row = this.#attachments.get(sandboxId);
    if (row === undefined) return;
    if (row.mode === 'embedded') await this.#embedded.detach(row);
    else await this.#cni.detach(row, netnsPath, signal);
  }

  #toldCidr(): string | undefined {
    const value = this.#options.settings.get(POD_CIDR);
    return typeof value === 'string' ? value : undefined;
  }

  #subnets(): Subnet[] {
    const told = this.#toldCidr();
    return told === undefined ? this.#configuredSubnets : parsePodCidr(told, 'the stored pod CIDR');
  }

  #changed(state: CniState): void {
    const { log } = this.#options;
    if (state.kind === 'configured') log.info({ network: state.config.name, source: state.config.source }, 'CNI network loaded');
    else if (state.kind === 'broken') log.warn({ source: state.source, reason: state.error.message }, 'CNI configuration is not usable');
    else log.info({ dir: this.#options.config.cniConfDir }, 'no CNI configuration');
    this.#refresh();
  }

  #refresh(): void {
    this.#status = this.#look();
  }

  /** Others flush rule sets and remove bridges; pods of the embedded network get theirs back. A failure is logged once. */
  #heal(): void {
    this.#refresh();
    this.#embedded.restore().then(
      () => {
        this.#trouble = '';
      },
      (error: unknown) => {
        const reason = messageOf(error);
        if (reason !== this.#trouble) this.#options.log.warn({ reason }, 'the embedded network could not be restored');
        this.#trouble = reason;
      },
    );
  }

  #look(): NetworkStatus {
    const { config } = this.#options;
    const state = this.#source.state;
    try {
      if (state.kind === 'broken') throw state.error;
      if (state.kind === 'configured') {
        for (const plugin of state.config.plugins) findPlugin(plugin.type, config.cniBinDirs);
        return { ready: true, mode: 'cni', reason: '', message: '', name: state.config.name, source: state.config.source };
      }
      if (!config.embedded) throw this.#noNetwork();
      if (findProgram('nft') === undefined) {
        throw new RuntimeError('precondition', 'NETWORK_NOT_READY', 'the embedded network needs nft; install the package nftables');
      }
      const source = `${this.#toldCidr() === undefined ? 'network.pod_cidr' : 'UpdateRuntimeConfig'} ${this.#subnets().map(formatSubnet).join(',')}`;
      return { ready: true, mode: 'embedded', reason: '', message: '', name: config.bridge, source };
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      return notReady(state, error);
    }
  }

  #noNetwork(): RuntimeError {
    return new RuntimeError(
      'unavailable',
      'NETWORK_NOT_READY',
      `there is no CNI configuration in ${this.#options.config.cniConfDir} and the embedded network is off; install a CNI network or set network.embedded`,
    );
  }
}

function notReady(state: CniState, error: RuntimeError): NetworkStatus {
  const common = { ready: false, reason: NOT_READY, message: error.message };
  if (state.kind === 'none') return { ...common, mode: 'none', name: '', source: '' };
  if (state.kind === 'broken') return { ...common, mode: 'cni', name: '', source: state.source };
  return { ...common, mode: 'cni', name: state.config.name, source: state.config.source };
}
