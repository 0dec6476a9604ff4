/**
 * What a pod asks of plugins that declare a capability (CNI conventions,
 * "Dynamic Plugin specific fields"). Pure. A plugin gets, as `runtimeConfig`,
 * those of the facts whose capability its configuration sets to true.
 */
import { RuntimeError } from '../../errors/index.ts';
import type { AttachRequest, PortMapping } from '../types.ts';
import type { PluginConfig } from './config.ts';
import { isRecord } from './json.ts';

const INGRESS = 'kubernetes.io/ingress-bandwidth';
const EGRESS = 'kubernetes.io/egress-bandwidth';
/** Bits a burst may have: as good as unlimited for the bandwidth plugin, which wants less than 2^32 bytes. */
const UNLIMITED_BURST_BITS = 2_147_483_647;
/** Bits per second that Kubernetes admits for the annotations: 1k to 1P. */
const BANDWIDTH_MIN = 1e3;
const BANDWIDTH_MAX = 1e15;

/** Everything a pod can tell plugins, by capability; what it does not ask for is absent. */
export function capabilityArguments(
  request: AttachRequest,
  portMappings: readonly PortMapping[],
  podSubnets: readonly string[],
): Record<string, unknown> {
  const all: Record<string, unknown> = {
    portMappings: portMappings.length === 0 ? undefined : portMappings.map(toCniPort),
    bandwidth: bandwidth(request.annotations),
    dns: request.dns,
    cgroupPath: request.cgroupPath === '' ? undefined : request.cgroupPath,
    ipRanges: podSubnets.length === 0 ? undefined : podSubnets.map((subnet) => [{ subnet }]),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

const toCniPort = (mapping: PortMapping): Record<string, unknown> => ({
  hostPort: mapping.hostPort,
  containerPort: mapping.containerPort,
  protocol: mapping.protocol,
  ...(mapping.hostIp === '' ? {} : { hostIP: mapping.hostIp }),
});

/** The plugin's configuration with the runtimeConfig it declares; without one when nothing applies. */
export function withRuntimeConfig(plugin: PluginConfig, args: Record<string, unknown>): PluginConfig {
  const { capabilities, ...rest } = plugin;
  if (!isRecord(capabilities)) return plugin;
  const runtimeConfig = Object.fromEntries(Object.entries(args).filter(([name]) => capabilities[name] === true));
  return Object.keys(runtimeConfig).length === 0 ? { ...rest, type: plugin.type } : { ...rest, type: plugin.type, runtimeConfig };
}

function bandwidth(annotations: Record<string, string>): Record<string, number> | undefined {
  const ingress = bitsPerSecond(annotations, INGRESS);
  const egress = bitsPerSecond(annotations, EGRESS);
  if (ingress === undefined && egress === undefined) return undefined;
  return {
    ...(ingress === undefined ? {} : { ingressRate: ingress, ingressBurst: UNLIMITED_BURST_BITS }),
    ...(egress === undefined ? {} : { egressRate: egress, egressBurst: UNLIMITED_BURST_BITS }),
  };
}

function bitsPerSecond(annotations: Record<string, string>, name: string): number | undefined {
  const text = annotations[name];
  if (text === undefined) return undefined;
  const bits = parseQuantity(text);
  if (bits === undefined || bits < BANDWIDTH_MIN || bits > BANDWIDTH_MAX) {
    throw new RuntimeError(
      'invalid',
      'INVALID_ARGUMENT',
      `the annotation ${name} is ${JSON.stringify(text)}; write bits per second between 1k and 1P, such as 10M`,
    );
  }
  return bits;
}

const FACTORS: Record<string, number> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** A Kubernetes quantity as a whole number, rounded up; undefined when it is none. */
export function parseQuantity(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d{1,2})|(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P))?$/.exec(text);
  if (parts === null) return undefined;
  const [, digits = '', exponent = '', suffix = ''] = parts;
  return Math.ceil(Number(`${digits}${exponent}`) * (FACTORS[suffix] ?? 1));
}
