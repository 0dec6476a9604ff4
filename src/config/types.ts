/** The daemon's configuration after merging defaults, config.toml and conf.d. Keys on disk are snake_case. */

/** One OCI runtime. */
export interface HandlerConfig {
  name: string;
  /** Binary name looked up in PATH, or absolute path. */
  path: string;
}

/** Everything that can be configured. */
export interface Config {
  socket: string;
  /** Persistent state. */
  root: string;
  /** Run-time state, on a tmpfs. */
  state: string;
  log: { level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent' };
  runtime: {
    /** '' picks the first usable handler. */
    defaultHandler: string;
    handlers: HandlerConfig[];
    conmon: string;
    pause: string;
    /** Processes a container may have; 0 is unlimited. */
    pidsLimit: number;
  };
  cgroup: {
    driver: 'auto' | 'cgroupfs' | 'systemd';
    /** Parent of pods that come without one. */
    defaultParent: string;
  };
  network: {
    cniConfDir: string;
    cniBinDirs: string[];
    cniTimeoutMs: number;
    /** Serve the embedded bridge network when no CNI configuration exists. */
    embedded: boolean;
    bridge: string;
    /** Comma-separated for dual stack. */
    podCidr: string;
    mtu: number;
  };
  images: {
    /** Over all pulls. */
    parallelDownloads: number;
    /** Keep compressed blobs of layers after unpacking. */
    keepBlobs: boolean;
    /** Directory of HOST/hosts.toml. */
    hostsDir: string;
    /** Docker’s config.json. */
    dockerConfig: string;
    /** A download slower than this over a whole window is cut and resumed. */
    stallFloorBytesPerSecond: number;
    stallWindowMs: number;
    /** Globs over NAME:TAG; such images are reported pinned. */
    pinned: string[];
    /** Archives in it are loaded and pinned at start; may be absent. */
    importDir: string;
  };
  metrics: {
    /** HOST:PORT; '' turns it off. */
    address: string;
  };
}
