/**
 * The one table of configuration keys. Parsing, defaults, error messages and
 * docs/configuration.md all derive from it; the type of SCHEMA makes a key
 * that `Config` has and the table lacks, or the reverse, a compile error.
 * Keys are camelCase here and snake_case on disk. Every key is read once, at
 * start: a change takes effect with the next start of the daemon.
 */
import { isIP } from 'node:net';
import { flag, integer, list, oneOf, path, program, type RowsField, rows, text, type ValueField } from './fields.ts';
import type { Config, HandlerConfig } from './types.ts';

type Leaf = string | number | boolean | readonly unknown[];
// In brackets, so that a union such as a log level is one type and not distributed over.
type FieldOf<T> = [T] extends [readonly (infer Row)[]] ? (Row extends string ? ValueField<T> : RowsField<Row>) : ValueField<T>;
interface Section<T> {
  readonly section: string;
  readonly keys: Schema<T>;
}
type Schema<T> = { readonly [K in keyof T]: T[K] extends Leaf ? FieldOf<T[K]> : Section<T[K]> };

/** sun_path holds 108 bytes with the terminating NUL (unix(7)). */
const SOCKET_PATH_MAX_BYTES = 107;
/** IFNAMSIZ is 16 with the terminating NUL (linux/if.h). */
const INTERFACE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/;
const HANDLER_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/; // RuntimeClass handlers are DNS labels
const CGROUP_PARENT = /^\/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$|^[A-Za-z0-9._-]+\.slice$/;

/** HOST:PORT with a literal address, or nothing. */
function isListenAddress(address: string): boolean {
  if (address === '') return true;
  const split = /^(.+):(\d{1,5})$/.exec(address);
  if (split === null) return false;
  const host = (split[1] ?? '').replace(/^\[(.*)\]$/, '$1');
  return isIP(host) !== 0 && Number(split[2]) <= 65_535;
}

/** One IPv4 and at most one IPv6 network; room for a gateway and at least one pod in each. */
function isPodCidr(cidrs: string): boolean {
  const families = cidrs.split(',').map((cidr) => {
    const [address = '', length = '', ...rest] = cidr.trim().split('/');
    const family = isIP(address);
    const bits = /^\d{1,3}$/.test(length) && rest.length === 0 ? Number(length) : 0;
    if (family === 4) return bits >= 8 && bits <= 30 ? 4 : 0;
    if (family === 6) return bits >= 32 && bits <= 126 ? 6 : 0;
    return 0;
  });
  return !families.includes(0) && new Set(families).size === families.length;
}

const HANDLERS = rows<HandlerConfig>({
  summary:
    'OCI runtimes by handler name (the handler of a RuntimeClass). Each is probed at start by really running a container; one that cannot is reported and not offered.',
  identity: 'name',
  default: [
    { name: 'crun', path: 'crun' },
    { name: 'runc', path: 'runc' },
  ],
  columns: {
    name: text({
      summary: 'Handler name.',
      allowed: 'a DNS label (lower-case letters, digits, dashes)',
      test: (name) => HANDLER_NAME.test(name),
    }),
    path: program({ summary: 'The binary.' }),
  },
});

export const SCHEMA: Schema<Config> = {
  socket: path({
    default: '/run/berth/berth.sock',
    maxBytes: SOCKET_PATH_MAX_BYTES,
    summary: 'Unix socket of the CRI services (mode 0660). kubelet: `--container-runtime-endpoint=unix:///run/berth/berth.sock`.',
  }),
  root: path({ default: '/var/lib/berth', summary: 'Directory of persistent state: images, layers, containers, the state database.' }),
  state: path({ default: '/run/berth', summary: 'Directory of run-time state: pinned namespaces, bundles, exit files. On a tmpfs.' }),
  log: {
    section: 'Structured log on standard output, one JSON object a line.',
    keys: {
      level: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
        default: 'info',
        summary: 'Least important level that is written.',
      }),
    },
  },
  runtime: {
    section: 'How containers are run.',
    keys: {
      defaultHandler: text({
        default: '',
        summary: 'Handler of pods that name none. "" takes the first usable one of `runtime.handlers`.',
      }),
      handlers: HANDLERS,
      conmon: program({ default: 'conmon', summary: 'The container monitor.' }),
      pause: program({ default: 'catatonit', summary: 'Program of the pause process that holds a pod’s namespaces.' }),
      pidsLimit: integer({
        default: 0,
        min: 0,
        max: 4_194_304, // PID_MAX_LIMIT of 64-bit kernels (linux/threads.h)
        unit: 'processes',
        summary: 'Processes a container may have when its pod says nothing. 0 is unlimited.',
      }),
    },
  },
  cgroup: {
    section: 'Control groups.',
    keys: {
      driver: oneOf(['auto', 'cgroupfs', 'systemd'], {
        default: 'auto',
        summary:
          'Who makes cgroups. "auto" is systemd where it is PID 1 of a cgroup v2 host, else cgroupfs. kubelet follows through RuntimeConfig.',
      }),
      defaultParent: text({
        default: '/berth',
        summary: 'Cgroup parent of pods that come without one.',
        allowed: 'an absolute cgroup path, or a slice name with the systemd driver',
        test: (parent) => CGROUP_PARENT.test(parent) && !parent.split('/').includes('..'),
      }),
    },
  },
  network: {
    section: 'The pod network: CNI when `cni_conf_dir` holds a configuration, else the embedded bridge.',
    keys: {
      cniConfDir: path({
        default: '/etc/cni/net.d',
        summary: 'Where CNI configurations are looked for; the first in lexical order counts.',
      }),
      cniBinDirs: list({
        default: ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'],
        summary: 'Where CNI plugins are looked for, in order.',
        of: 'absolute paths',
        test: (dir) => dir.startsWith('/'),
      }),
      cniTimeoutMs: integer({
        default: 120_000,
        min: 1000,
        max: 220_000, // kubelet gives up on RunPodSandbox after 240 s
        unit: 'milliseconds',
        summary: 'One run of a CNI plugin is killed after this. Below the 240 s kubelet waits for a sandbox.',
      }),
      embedded: flag({ default: true, summary: 'Serve the embedded bridge network when there is no CNI configuration.' }),
      bridge: text({
        default: 'berth0',
        summary: 'Bridge of the embedded network; made on first use.',
        allowed: 'an interface name of at most 15 characters',
        test: (name) => INTERFACE_NAME.test(name),
      }),
      podCidr: text({
        default: '10.209.0.0/16',
        summary:
          'Addresses of the embedded network; a second, IPv6 network may follow a comma. The default keeps clear of the usual defaults of others (10.42, 10.43, 10.85, 10.88, 10.96, 10.244, 172.17, 192.168). UpdateRuntimeConfig (kubelet’s pod CIDR) overrides it.',
        allowed: 'an IPv4 network of /8 to /30, an IPv6 network of /32 to /126, or one of each separated by a comma',
        test: isPodCidr,
      }),
      mtu: integer({ default: 1500, min: 1280, max: 65_535, unit: 'bytes', summary: 'MTU of the embedded network’s interfaces.' }),
    },
  },
  images: {
    section: 'Images and registries.',
    keys: {
      parallelDownloads: integer({
        default: 3,
        min: 1,
        max: 16,
        unit: 'layers',
        summary: 'Layers that are downloaded at once, over all pulls.',
      }),
      stallFloorBytesPerSecond: integer({
        default: 1024,
        min: 1,
        max: 1_073_741_824,
        unit: 'bytes per second',
        summary:
          'A download that brings less than this, on average over `images.stall_window_ms`, is cut and resumed on a new connection; a pull fails after five of these in a row.',
      }),
      stallWindowMs: integer({
        default: 30_000,
        min: 100,
        max: 3_600_000,
        unit: 'milliseconds',
        summary: 'How long a download may stay below `images.stall_floor_bytes_per_second`. No caller’s deadline has to do with it.',
      }),
      keepBlobs: flag({
        default: false,
        summary:
          'Keep the compressed blobs of layers beside what is unpacked, so that `berth image save` and `push` send the very blobs that were pulled. Costs a third to a half more disk; without it a layer’s tar is made again when it is sent.',
      }),
      hostsDir: path({
        default: '/etc/berth/certs.d',
        summary:
          'Where hosts files are looked for: HOST/hosts.toml in containerd’s format, `_default/hosts.toml` for hosts without one (docs/registries.md). Read anew at each pull.',
      }),
      dockerConfig: path({
        default: '/root/.docker/config.json',
        summary:
          'Docker’s config.json, with credentials for pulls that bring none and for mirrors (docs/registries.md). Read anew at each pull; it need not exist.',
      }),
      pinned: list({
        default: [],
        summary:
          'Globs over HOST/NAME:TAG, or with an @ over HOST/NAME@DIGEST; matching images are reported as pinned, so that kubelet never collects them.',
        of: 'globs such as "registry.k8s.io/pause:*"',
        test: (glob) => glob !== '',
      }),
      importDir: path({
        default: '/var/lib/berth/import',
        summary:
          'Archives of images (*.tar, *.tar.gz, *.tgz, *.tar.zst, OCI layout directories) that are loaded and pinned at start, in order of their names; it need not exist. An image removed later comes back with the next start.',
      }),
    },
  },
  metrics: {
    section: 'Prometheus endpoint: `/metrics` and `/metrics/cadvisor`.',
    keys: {
      address: text({
        default: '127.0.0.1:9477',
        summary:
          'Where it listens: IP:PORT, [IPv6]:PORT, port 0 for any free one; "" turns it off. There is no authentication: keep it on loopback or a trusted network.',
        allowed: 'IP:PORT, or "" for none',
        test: isListenAddress,
      }),
    },
  },
};
