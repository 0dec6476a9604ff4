/** What main and worker threads say to each other: one task, one answer. */
import type { ErrorKind, Reason } from '../errors/index.ts';
import type { FixupResult } from './fixup.ts';
import type { LayerContent } from './layer-content.ts';
import type { FixupLayer } from './layer-stack.ts';
import type { TailBuffer } from './tail.ts';

/** A blob that is to become one file. */
export interface PlacedFile {
  /** Path in the layer; IMAGE_LAYER when it leads out of it. */
  name: string;
  /** Bytes. */
  size: number;
}

/** Work that must not run on the main thread. */
export type Task =
  /** Unpack a layer blob, or place it as a file, that may still be downloading into an empty directory; its split goes beside that. */
  | { kind: 'unpack'; part: string; progress: TailBuffer; dir: string; file?: PlacedFile }
  /** Compare a layer's directory with its split and the digest of its tar. */
  | { kind: 'verify'; dir: string; split: string; tarDigest: string }
  /** Write the tar of a layer, from its directory and its split, to a new file. */
  | { kind: 'assemble'; dir: string; split: string; to: string }
  /** Make the layer of what the others lack to be put together; `layers` topmost first. */
  | { kind: 'fixup'; layers: FixupLayer[]; dir: string }
  /** Count what a directory holds. */
  | { kind: 'usage'; dir: string }
  /** Delete a tree; absent is success. */
  | { kind: 'remove'; path: string };

/** What was unpacked, and the digest of the tar. */
export interface UnpackResult extends LayerContent {
  diffId: string;
  /** Bytes of the tar. */
  tarBytes: number;
}

/** Bytes and inodes on disk. */
export interface Usage {
  usedBytes: bigint;
  inodesUsed: bigint;
}

/** The result of each kind of task. */
export interface TaskResults {
  unpack: UnpackResult;
  /** One sentence a damaged file. */
  verify: string[];
  assemble: undefined;
  fixup: (FixupResult & { tarDigest: string; tarBytes: number }) | undefined;
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
