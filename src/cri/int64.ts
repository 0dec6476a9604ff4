/**
 * The only bridge between bigint and the Long of protobufjs. It exists because
 * protobufjs encodes a bigint as 0 without an error and a JS number loses
 * nanoseconds; the generated types accept a Long only, so nothing gets to the
 * wire by another way. Values outside of 64 bits throw instead of wrapping.
 */
import Long from 'long';

const LOW_BITS = 32n;
const INT64_MIN = -(1n << 63n);
const INT64_MAX = (1n << 63n) - 1n;
const UINT64_MAX = (1n << 64n) - 1n;

function bits(value: bigint, unsigned: boolean): Long {
  return Long.fromBits(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> LOW_BITS)), unsigned);
}

/** For int64 and sint64 fields. Throws RangeError outside of -2^63..2^63-1. */
export function toInt64(value: bigint): Long {
  if (value < INT64_MIN || value > INT64_MAX) throw new RangeError(`${value} does not fit an int64 field`);
  return bits(value, false);
}

/** For uint64 fields. Throws RangeError outside of 0..2^64-1. */
export function toUint64(value: bigint): Long {
  if (value < 0n || value > UINT64_MAX) throw new RangeError(`${value} does not fit a uint64 field`);
  return bits(value, true);
}

/** The exact value of a decoded 64-bit field, signed or not. */
export function fromLong(value: Long): bigint {
  const raw = (BigInt(value.high) << LOW_BITS) | BigInt(value.low >>> 0);
  return value.unsigned ? BigInt.asUintN(64, raw) : raw;
}
