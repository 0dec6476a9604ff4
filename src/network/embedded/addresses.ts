/**
 * Who has which address of the embedded network. A lease is a row of the
 * store, written before the address is used and removed after its pod is
 * gone, so that leases survive the daemon. Allocation goes round the subnet:
 * an address just freed is the last to be given again. Invariant: memory and
 * table agree after every call.
 */
import { RuntimeError } from '../../errors/index.ts';
import type { Table } from '../../store/index.ts';
import { type Address, formatAddress, formatSubnet, podRange, type Subnet } from './cidr.ts';

/** Row of the `addresses` table; its id is the address. */
export interface AddressRow {
  sandboxId: string;
}

/** Leases of addresses, by address. */
export class Addresses {
  readonly #table: Table<AddressRow>;
  readonly #owners: Map<string, string>;
  /** Last address given, by subnet. */
  readonly #last = new Map<string, bigint>();

  constructor(table: Table<AddressRow>) {
    this.#table = table;
    this.#owners = new Map(table.all().map(({ id, value }) => [id, value.sandboxId]));
  }

  /** Leases a free address of `subnet`. Throws IPAM_EXHAUSTED. At most one step per lease, as the next hole is that near. */
  reserve(subnet: Subnet, sandboxId: string): Address {
    const key = formatSubnet(subnet);
    const { first, last } = podRange(subnet);
    let value = this.#last.get(key) ?? last;
    for (let step = 0; step <= this.#owners.size; step += 1) {
      value = value >= last ? first : value + 1n;
      const address = { family: subnet.family, value };
      const text = formatAddress(address);
      if (this.#owners.has(text)) continue;
      this.#table.put(text, { sandboxId });
      this.#owners.set(text, sandboxId);
      this.#last.set(key, value);
      return address;
    }
    throw new RuntimeError(
      'exhausted',
      'IPAM_EXHAUSTED',
      `every pod address of ${key} is taken (${last - first + 1n}); remove pods or give the node a larger pod CIDR`,
    );
  }

  /** Ends every lease of the sandbox; idempotent. */
  release(sandboxId: string): void {
    for (const [text, owner] of this.#owners) {
      if (owner !== sandboxId) continue;
      this.#table.delete(text);
      this.#owners.delete(text);
    }
  }

  /** Sandboxes that hold an address. */
  owners(): Set<string> {
    return new Set(this.#owners.values());
  }
}
