/** What main and worker threads say to each other: one task, one answer. */
import type { ErrorKind, Reason } from '../errors/index.ts';
import type { FixupResult } from './fixup.ts';
import type { LayerContent } from './layer-content.ts';
import type { FixupLayer } from './layer-stack.ts';
import type { TailBuffer } from './tail.ts';

/** Work that must not run on the main thread. */
export type Task =
  /** Unpack a layer blob that may still be downloading into an empty directory. */
  | { kind: 'unpack'; part: string; progress: TailBuffer; dir: string }
  /** Make the layer of what the others lack to be put together; `layers` topmost first. */
  | { kind: 'fixup'; layers: FixupLayer[]; dir: string }
  /** Count what a directory holds. */
  | { kind: 'usage'; dir: string }
  /** Delete a tree; absent is success. */
  | { kind: 'remove'; path: string };

/** What was unpacked, and the digest of the tar. */
export interface UnpackResult extends LayerContent {
  diffId: string;
}

/** Bytes and inodes on disk. */
export interface Usage {
  usedBytes: bigint;
  inodesUsed: bigint;
}

/** The result of each kind of task. */
export interface TaskResults {
  unpack: UnpackResult;
  fixup: FixupResult | undefined;
  usage: Usage;
  remove: undefined;
}

/** A task on its way. */
export interface TaskMessage {
  task: Task;
}

/** An error in a form that survives the way between threads. */
export interface TaskFailure {
  message: string;
  /** errno name, if the kernel refused. */
  code?: string;
  /** Set when it was a RuntimeError. */
  runtime?: { kind: ErrorKind; reason: Reason };
}

/** The worker's answer. */
export type TaskAnswer = { ok: true; result: TaskResults[Task['kind']] } | { ok: false; failure: TaskFailure };
