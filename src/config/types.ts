/** The daemon's configuration after merging defaults, config.toml and conf.d. Keys on disk are snake_case. */

/** One OCI runtime. */
export interface HandlerConfig {
  name: string;
  /** Binary name looked up in PATH, or absolute path. */
  path: string;
}

/** A registry host that is not plain https. */
export interface RegistryHostConfig {
  /** HOST[:PORT] as written in references. */
  host: string;
  /** Base URLs tried in order before the host itself, e.g. http://127.0.0.1:5000. */
  mirrors: string[];
  /** Speak http, not https, to the host itself (loopback hosts do so by default). */
  plainHttp: boolean;
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
    parallelDownloads: number;
    registries: RegistryHostConfig[];
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
