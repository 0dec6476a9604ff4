/**
 * The network of a node without CNI: a bridge, addresses from the pod CIDR,
 * masquerade and host ports. All of it follows from the store: rows in
 * `attachments` and `addresses` are written before the kernel is asked for
 * anything, and the bridge and the rules can be made again from them at any
 * time (after a restart, or after somebody flushed them).
 *
 *   attach: reserve addresses + row ─► bridge ─► veth ─► rules ─► row 'added'
 *   detach: link down ─► rules (when it had ports) ─► row and addresses out
 */
import { inOwnTurn } from '../../async/index.ts';
import { messageOf } from '../../errors/index.ts';
import type { Logger } from '../../log/index.ts';
import type { Table } from '../../store/index.ts';
import { forgetUdpFlows, hasInetTable } from '../../sys/index.ts';
import { type Attachments, type EmbeddedAttachmentRow, POD_INTERFACE, podName } from '../attachments.ts';
import { refuseTakenByHost, refuseTakenByPods } from '../host-ports.ts';
import type { Attachment, AttachRequest, PortMapping } from '../types.ts';
import { Addresses, type AddressRow } from './addresses.ts';
import {
  type BridgeConfig,
  ensureBridge,
  hostAddresses,
  hostLinkName,
  type PodAddress,
  plugPod,
  removeBridge,
  removeStrayLinks,
  replugPods,
  unplugPod,
} from './bridge.ts';
import { bytesOf, formatAddress, formatSubnet, parseAddress, type Subnet, subnetOf } from './cidr.ts';
import { applyRuleset, Firewall } from './firewall.ts';
import { dropTableText, type PublishedPod, rulesetText, tableOf } from './ruleset.ts';
import { enableForwarding, restoreSysctls, type SysctlMemory } from './sysctls.ts';

/** What the embedded network works with. */
export interface EmbeddedOptions extends BridgeConfig {
  attachments: Attachments;
  addresses: Table<AddressRow>;
  settings: SysctlMemory;
  /** The pod CIDR in force, asked at every attach. */
  subnets: () => Subnet[];
  log: Logger;
}

/** The bridge network. Callers keep calls for one sandbox in order. */
export class EmbeddedNetwork {
  readonly #options: EmbeddedOptions;
  readonly #bridge: BridgeConfig;
  readonly #addresses: Addresses;
  readonly #firewall: Firewall;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#bridge = { bridge: options.bridge, mtu: options.mtu };
    this.#addresses = new Addresses(options.addresses);
    this.#firewall = new Firewall(() => this.#ruleset());
  }

  /** Plugs a pod in; on failure nothing of it stays. */
  async attach(request: AttachRequest, portMappings: PortMapping[]): Promise<Attachment> {
    const timings: Attachment['timings'] = [];
    const timed = async (step: string, work: () => void | Promise<void>): Promise<void> => {
      const started = performance.now();
      await work();
      timings.push({ step, ms: performance.now() - started });
    };
    const { row, addresses } = this.#begin(request, portMappings);
    try {
      await refuseTakenByHost(portMappings);
      await timed('bridge', () => this.#ensureHost());
      await timed('veth', () => inOwnTurn(() => plugPod({ ...this.#bridge, hostLink: row.hostLink, netnsPath: row.netnsPath, addresses })));
      if (portMappings.length > 0) await timed('host ports', () => this.#publish(row));
      this.#options.attachments.put({ ...row, state: 'added' });
    } catch (error) {
      await this.#undo(row);
      throw error;
    }
    return { mode: 'embedded', ips: row.addresses.map(({ address }) => address), interfaceName: POD_INTERFACE, portMappings, timings };
  }

  /** Unplugs the pod of `row`; idempotent. Its link dies with its namespace. Its address and ports are free only when no rule leads there. */
  async detach(row: EmbeddedAttachmentRow): Promise<void> {
    const { attachments, bridge } = this.#options;
    unplugPod(row.hostLink);
    if (row.portMappings.length > 0 && hasInetTable(tableOf(bridge))) {
      attachments.put({ ...row, state: 'removing' });
      await this.#firewall.rebuild();
      this.#forgetFlows(row, row.addresses.flatMap(({ address }) => parseAddress(address) ?? []).map(bytesOf));
    }
    attachments.delete(row.sandboxId);
    this.#addresses.release(row.sandboxId);
  }

  /**
   * Matches host and store: ends leases without an attachment, removes links
   * nobody has, and makes bridge and rules anew where pods need them. Without
   * any pod the bridge and the table go.
   */
  async collect(): Promise<string[]> {
    const rows = this.#rows();
    const attached = new Set(rows.map((row) => row.sandboxId));
    for (const owner of this.#addresses.owners()) if (!attached.has(owner)) this.#addresses.release(owner);
    const removed = removeStrayLinks(this.#options.bridge, new Set(rows.map((row) => row.hostLink)));
    if (rows.length > 0) await this.restore();
    else removed.push(...(await removeEmbeddedNetwork(this.#options.bridge)));
    return removed;
  }

  /** Leaves the host as it was found when no pod needs the network: bridge, table and changed switches go. */
  async close(): Promise<void> {
    const { bridge, settings } = this.#options;
    if (this.#rows().length === 0) await removeEmbeddedNetwork(bridge, settings);
  }

  /** Makes bridge, links and rules again where they are missing; nothing happens without pods. */
  async restore(): Promise<void> {
    const rows = this.#rows();
    if (rows.length === 0) return;
    await this.#ensureHost();
  }

  async #publish(row: EmbeddedAttachmentRow): Promise<void> {
    await this.#firewall.rebuild();
    this.#forgetFlows(row, hostAddresses());
  }

  /** A client that keeps sending from one UDP port would go on to whom the port led before. Without connection tracking there is nothing to forget. */
  #forgetFlows(row: EmbeddedAttachmentRow, answeredBy: Uint8Array[]): void {
    try {
      for (const { protocol, hostPort } of row.portMappings) if (protocol === 'udp') forgetUdpFlows(hostPort, answeredBy);
    } catch (error) {
      this.#options.log.warn(
        { pod: podName(row), reason: messageOf(error) },
        'old UDP flows of a host port could not be ended; they end by themselves',
      );
    }
  }

  /** Undoes a failed attach. What cannot be undone stays in the store for detach(), and the first failure is the one told. */
  async #undo(row: EmbeddedAttachmentRow): Promise<void> {
    try {
      await this.detach(row);
    } catch (error) {
      this.#options.log.warn({ err: error, pod: podName(row) }, 'undoing a failed network attachment failed; it is kept for the next try');
    }
  }

  async #ensureHost(): Promise<void> {
    const { bridge, log, settings } = this.#options;
    const subnets = this.#subnets();
    const changed = enableForwarding(
      subnets.some((subnet) => subnet.family === 6),
      settings,
    );
    if (changed.length > 0) log.info({ changed }, 'turned on packet forwarding for pods');
    const { made, cutOutOf } = ensureBridge(this.#bridge, subnets);
    if (cutOutOf.length > 0)
      log.warn({ cutOutOf, subnets: subnets.map(formatSubnet) }, 'the pod network hides part of a network of the host');
    if (made) {
      log.info({ bridge, subnets: subnets.map(formatSubnet) }, 'made the pod bridge');
      replugPods(bridge, new Set(this.#rows().map((row) => row.hostLink)));
    }
    if (!hasInetTable(tableOf(bridge))) await this.#firewall.rebuild();
  }

  /** Reserves everything that is reserved in the store, in one synchronous step: nobody can come between check and claim. */
  #begin(request: AttachRequest, portMappings: PortMapping[]): { row: EmbeddedAttachmentRow; addresses: PodAddress[] } {
    const { attachments, bridge } = this.#options;
    refuseTakenByPods(portMappings, attachments.all());
    const addresses = this.#reserve(request.sandboxId);
    const row: EmbeddedAttachmentRow = {
      mode: 'embedded',
      state: 'adding',
      sandboxId: request.sandboxId,
      pod: request.pod,
      netnsPath: request.netnsPath,
      portMappings,
      bridge,
      hostLink: hostLinkName(request.sandboxId),
      addresses: addresses.map(({ address, subnet }) => ({ address: formatAddress(address), prefixLength: subnet.prefixLength })),
    };
    attachments.put(row);
    return { row, addresses };
  }

  #reserve(sandboxId: string): PodAddress[] {
    try {
      return this.#options.subnets().map((subnet) => ({ subnet, address: this.#addresses.reserve(subnet, sandboxId) }));
    } catch (error) {
      this.#addresses.release(sandboxId); // of two families the first may have been had
      throw error;
    }
  }

  #rows(): EmbeddedAttachmentRow[] {
    return this.#options.attachments.all().filter((row) => row.mode === 'embedded');
  }

  /** The subnets in force and those that running pods still have from before. */
  #subnets(): Subnet[] {
    const all = new Map(this.#options.subnets().map((subnet) => [formatSubnet(subnet), subnet]));
    for (const { address, prefixLength } of this.#rows().flatMap((row) => row.addresses)) {
      const parsed = parseAddress(address);
      if (parsed === undefined) continue;
      const subnet = subnetOf(parsed, prefixLength);
      all.set(formatSubnet(subnet), subnet);
    }
    return [...all.values()];
  }

  #ruleset(): string {
    const published = this.#rows().filter((row) => row.portMappings.length > 0 && row.state !== 'removing');
    const pods: PublishedPod[] = published.map((row) => ({
      name: podName(row),
      addresses: row.addresses.flatMap(({ address }) => parseAddress(address) ?? []),
      portMappings: row.portMappings,
    }));
    return rulesetText({ bridge: this.#options.bridge, subnets: this.#subnets(), pods });
  }
}

/**
 * Removes the bridge (if berth made it) and the nftables table; idempotent.
 * With `settings`, host switches that berth turned on are put back too.
 * Returns what was there. For tear-down: running pods lose their network.
 */
export async function removeEmbeddedNetwork(bridge: string, settings?: SysctlMemory): Promise<string[]> {
  const removed = removeStrayLinks(bridge, new Set());
  if (removeBridge(bridge)) removed.push(bridge);
  if (hasInetTable(tableOf(bridge))) {
    await applyRuleset(dropTableText(bridge));
    removed.push(`nft table inet ${tableOf(bridge)}`);
  }
  if (settings !== undefined) restoreSysctls(settings);
  return removed;
}
