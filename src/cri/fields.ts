/**
 * Checks of single request fields. Each failure is INVALID_ARGUMENT and names
 * the field as api.proto spells it, with its place in the message, so that the
 * person who wrote the pod or the client can find it.
 */
import type Long from 'long';
import { RuntimeError } from '../errors/index.ts';
import { fromLong } from './int64.ts';

/** Largest uid or gid; 2^32-1 is the kernel's "no change" (setuid(2)). */
const ID_MAX = 2 ** 32 - 2;
const PORT_MAX = 65_535;

/** The error of a malformed field. */
export function invalid(field: string, problem: string): RuntimeError {
  return new RuntimeError('invalid', 'INVALID_ARGUMENT', `${field} ${problem}`, { detail: { field } });
}

/** A message that must be present. */
export function required<T>(value: T | null | undefined, field: string): T {
  if (value === null || value === undefined) throw invalid(field, 'is missing');
  return value;
}

/** Text without NUL bytes: the kernel would cut it there. */
export function text(value: string, field: string): string {
  if (value.includes('\0')) throw invalid(field, 'contains a NUL byte');
  return value;
}

/** Text that is not empty. */
export function nonEmpty(value: string, field: string): string {
  if (value === '') throw invalid(field, 'is empty');
  return text(value, field);
}

/** Text that goes into a line of a file. */
export function singleLine(value: string, field: string): string {
  if (/[\r\n]/.test(value)) throw invalid(field, 'contains a line break');
  return nonEmpty(value, field);
}

/** A path that starts at the root. */
export function absolutePath(value: string, field: string): string {
  if (!nonEmpty(value, field).startsWith('/')) throw invalid(field, `is ${value}; an absolute path is needed`);
  return value;
}

/** A path that stays below the directory it is joined to. */
export function relativePath(value: string, field: string): string {
  const escapes = value.startsWith('/') || value.split('/').includes('..');
  if (escapes) throw invalid(field, `is ${value}; a relative path without .. is needed`);
  return text(value, field);
}

/** A whole number within bounds, both included. */
export function within(value: number, bounds: { min: number; max: number }, field: string): number {
  if (value >= bounds.min && value <= bounds.max) return value;
  throw invalid(field, `is ${value}; it must be between ${bounds.min} and ${bounds.max}`);
}

/** A TCP, UDP or SCTP port; `min` 0 admits "none". */
export function port(value: number, min: 0 | 1, field: string): number {
  return within(value, { min, max: PORT_MAX }, field);
}

/** A uid or gid. */
export function userId(value: Long, field: string): number {
  const id = fromLong(value);
  if (id < 0n || id > BigInt(ID_MAX)) throw invalid(field, `is ${id}; it must be between 0 and ${ID_MAX}`);
  return Number(id);
}

/** A uid or gid that can be absent. */
export function optionalUserId(value: { value: Long } | null, field: string): number | undefined {
  return value === null ? undefined : userId(value.value, field);
}

/** Seconds of waiting, 0 or more; huge values are cut to what a timer can hold without losing meaning. */
export function timeoutSeconds(value: Long, field: string): number {
  const seconds = fromLong(value);
  if (seconds < 0n) throw invalid(field, `is ${seconds}; it must be 0 or more`);
  return seconds > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(seconds);
}

/** An object without the properties that are undefined, as exact optional properties want it. */
export function defined<T extends object>(properties: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as T;
}
