/**
 * Network attachments: one row a sandbox with all that undoing it needs,
 * written before the first side effect and removed after the last. `state`
 * tells whether it came to its end; a row in any state is undone in the same
 * way. Memory comes first: reads are from a map, writes go through to the
 * store. Invariant: map and table agree after every call.
 */
import type { Table } from '../store/index.ts';
import type { PortMapping } from './types.ts';

interface AttachmentRowBase {
  sandboxId: string;
  pod: { name: string; namespace: string; uid: string };
  /** Where the namespace was pinned; it may be gone. */
  netnsPath: string;
  /** Only those that publish something. */
  portMappings: PortMapping[];
  state: 'adding' | 'added' | 'removing';
}

/** Attached by CNI plugins. */
export interface CniAttachmentRow extends AttachmentRowBase {
  mode: 'cni';
  network: string;
  cniVersion: string;
  /** The plugins' configurations as they were handed to ADD, in its order, without prevResult. */
  plugins: { type: string; [key: string]: unknown }[];
  /** CNI_ARGS. */
  args: string;
  /** Result of the last plugin that succeeded. */
  result?: unknown;
}

/** Attached to the embedded bridge. */
export interface EmbeddedAttachmentRow extends AttachmentRowBase {
  mode: 'embedded';
  bridge: string;
  /** Near end of the veth pair. */
  hostLink: string;
  /** Textual address and prefix length of its subnet, primary first. */
  addresses: { address: string; prefixLength: number }[];
}

/** A row of the `attachments` table. */
export type AttachmentRow = CniAttachmentRow | EmbeddedAttachmentRow;

/** The interface every pod gets. */
export const POD_INTERFACE = 'eth0';

/** Id of the row: one attachment per sandbox and interface. */
const attachmentId = (sandboxId: string): string => `${sandboxId}/${POD_INTERFACE}`;

/** Every attachment, by sandbox id. */
export class Attachments {
  readonly #table: Table<AttachmentRow>;
  readonly #rows: Map<string, AttachmentRow>;

  constructor(table: Table<AttachmentRow>) {
    this.#table = table;
    this.#rows = new Map(table.all().map(({ value }) => [value.sandboxId, value]));
  }

  get(sandboxId: string): AttachmentRow | undefined {
    return this.#rows.get(sandboxId);
  }

  /** Inserts or replaces. */
  put(row: AttachmentRow): void {
    this.#table.put(attachmentId(row.sandboxId), row);
    this.#rows.set(row.sandboxId, row);
  }

  /** Idempotent. */
  delete(sandboxId: string): void {
    this.#table.delete(attachmentId(sandboxId));
    this.#rows.delete(sandboxId);
  }

  all(): AttachmentRow[] {
    return [...this.#rows.values()];
  }
}

/** NAMESPACE/NAME. */
export const podName = (row: { pod: { name: string; namespace: string } }): string => `${row.pod.namespace}/${row.pod.name}`;
