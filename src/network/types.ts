/** What the pod network is asked for and answers with. */

/** api.proto DNSConfig. */
export interface DnsConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

/** api.proto PortMapping; hostPort 0 publishes nothing. */
export interface PortMapping {
  protocol: 'tcp' | 'udp' | 'sctp';
  containerPort: number;
  hostPort: number;
  /** '' is every address. */
  hostIp: string;
}

/** One attach request. */
export interface AttachRequest {
  sandboxId: string;
  /** Absolute path of the pinned network namespace. */
  netnsPath: string;
  pod: { name: string; namespace: string; uid: string };
  portMappings: PortMapping[];
  annotations: Record<string, string>;
  dns?: DnsConfig;
  cgroupPath: string;
}

/** What a pod got. Serialisable: it is kept in the store and is what detach needs. */
export interface Attachment {
  mode: 'cni' | 'embedded';
  /** First is the primary one; textual, without prefix length. */
  ips: string[];
  /** eth0 */
  interfaceName: string;
  portMappings: PortMapping[];
  /** Milliseconds per step ('bridge ADD' and so on), for timelines. */
  timings: { step: string; ms: number }[];
}

/** Answer of status(). */
export interface NetworkStatus {
  ready: boolean;
  mode: 'cni' | 'embedded' | 'none';
  /** '' or NetworkPluginNotReady. */
  reason: string;
  /** What is wrong and what to do; '' when ready. */
  message: string;
  /** Network name and where its configuration came from. */
  name: string;
  source: string;
}

/** Counters of one interface, since it was made. */
export interface InterfaceStats {
  name: string;
  rxBytes: bigint;
  rxPackets: bigint;
  rxErrors: bigint;
  rxDropped: bigint;
  txBytes: bigint;
  txPackets: bigint;
  txErrors: bigint;
  txDropped: bigint;
}

/** The pod network: CNI plugins when a configuration exists, else the embedded bridge. */
export interface PodNetwork {
  /** From memory, in microseconds. */
  status(): NetworkStatus;
  /**
   * Attaches; an intent is stored before the first side effect. On failure
   * everything made is undone or, where undoing failed too, kept for detach().
   */
  attach(request: AttachRequest, signal: AbortSignal): Promise<Attachment>;
  /**
   * Detaches whatever was attached or begun for the sandbox, with the cached
   * configuration; idempotent; works when the namespace is gone (netnsPath
   * undefined). Throws when a retry can help.
   */
  detach(sandboxId: string, netnsPath: string | undefined, signal: AbortSignal): Promise<void>;
  /** Removes what belongs to sandboxes not in `live` (called at start) and restores host state for those that are. */
  collect(live: ReadonlySet<string>, signal: AbortSignal): Promise<{ removed: string[] }>;
  /** Counters of every interface but lo, read inside the namespace; synchronous, under 1 ms. */
  stats(netnsPath: string): InterfaceStats[];
  /** UpdateRuntimeConfig's pod CIDR (comma-separated for dual stack); kept in the store. '' is ignored. */
  setPodCidr(cidr: string): void;
  /** Stops watching. Pods keep their network; without any, what berth made for it on the host goes. */
  close(): Promise<void>;
}
