/**
 * Protobuf messages as JSON, by the rules of protobuf's own mapping, so that
 * scripts written for other CRI tools work: lowerCamel names, 64-bit integers
 * as strings, enums by name, bytes as base64, unset fields with their zero.
 */
import Long from 'long';
import { cri, operator } from '../gen/index.ts';

type Enum = Readonly<Record<string, number>>;

/** Enum fields by name; only numbers are looked up, so a label of the same name is safe. */
const ENUMS: Readonly<Record<string, Enum>> = {
  containerEventType: cri.ContainerEventType,
  stopSignal: cri.Signal,
  cgroupDriver: cri.CgroupDriver,
  protocol: cri.Protocol,
  network: cri.NamespaceMode,
  pid: cri.NamespaceMode,
  ipc: cri.NamespaceMode,
  propagation: cri.MountPropagation,
};

/** The name of an enum's value; its number when a newer daemon knows more. */
export function enumName(of: Enum, value: number): string {
  return Object.entries(of).find(([, number]) => number === value)?.[0] ?? String(value);
}

/** A decoded message as plain JSON data. */
export function toJson(value: unknown): unknown {
  if (Long.isLong(value)) return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value;
  const plain: Record<string, unknown> = {};
  for (const key of fieldNames(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (typeof field === 'function' || field === null || field === undefined) continue;
    const names = typeof field === 'number' && isMessage(value) ? enumOf(value, key) : undefined;
    plain[key] = names === undefined ? toJson(field) : enumName(names, field as number);
  }
  return plain;
}

/** A generated class's object; what the daemon's verbose info holds is plain. */
const isMessage = (value: object): boolean => Object.getPrototypeOf(value) !== Object.prototype;

/** Unset fields live on the generated class's prototype, which also has every field in the order of the proto. */
function fieldNames(message: object): Iterable<string> {
  const prototype: unknown = Object.getPrototypeOf(message);
  const declared = typeof prototype === 'object' && prototype !== null && prototype !== Object.prototype ? Object.keys(prototype) : [];
  return new Set([...declared, ...Object.keys(message)]);
}

function enumOf(message: object, key: string): Enum | undefined {
  return key === 'state' ? stateOf(message) : ENUMS[key];
}

/** Whose state it is shows in the fields beside it. */
function stateOf(message: object): Enum {
  if ('layers' in message) return operator.PullState;
  if ('downloadedBytes' in message) return operator.LayerState;
  return 'imageRef' in message ? cri.ContainerState : cri.PodSandboxState;
}

/** A message as indented JSON text with a newline. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(toJson(value), null, 2)}\n`;
}
