/**
 * The program a throw-away container runs: a static ELF of some 130 bytes that
 * only exits with PROBE_EXIT_CODE. Made here, so that a probe needs no shell,
 * no library and no image on the host; the odd code proves that it was this
 * program that ran.
 */

/** What the program exits with. */
export const PROBE_EXIT_CODE = 42;

/** Where the program is loaded: the customary address of static programs. */
const LOAD_ADDRESS = 0x400000n;
/** elf(5): sizes of the file header and of one program header. */
const FILE_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const CODE_OFFSET = FILE_HEADER_BYTES + PROGRAM_HEADER_BYTES;
// elf(5)
const ET_EXEC = 2;
const PT_LOAD = 1;
const PF_READ_EXECUTE = 5;
const PAGE_BYTES = 0x1000n;

interface Machine {
  /** elf(5) e_machine. */
  readonly machine: number;
  /** _exit(PROBE_EXIT_CODE) */
  readonly code: readonly number[];
}

const MACHINES: Readonly<Record<string, Machine>> = {
  // mov edi, 42; mov eax, 60 (exit); syscall
  x64: { machine: 62, code: [0xbf, PROBE_EXIT_CODE, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05] },
  // mov x0, #42; mov x8, #93 (exit); svc #0
  arm64: { machine: 183, code: [0x40, 0x05, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4] },
};

/** The program for `architecture` (as process.arch says it); undefined where berth knows no code. */
export function probeProgram(architecture: string): Buffer | undefined {
  const target = MACHINES[architecture];
  if (target === undefined) return undefined;
  const size = BigInt(CODE_OFFSET + target.code.length);
  const elf = Buffer.alloc(Number(size));
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF, 64 bits, little-endian, version 1
  elf.writeUInt16LE(ET_EXEC, 16);
  elf.writeUInt16LE(target.machine, 18);
  elf.writeUInt32LE(1, 20); // version
  elf.writeBigUInt64LE(LOAD_ADDRESS + BigInt(CODE_OFFSET), 24); // entry
  elf.writeBigUInt64LE(BigInt(FILE_HEADER_BYTES), 32); // where the program header is
  elf.writeUInt16LE(FILE_HEADER_BYTES, 52);
  elf.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  elf.writeUInt16LE(1, 56); // one program header
  const header = FILE_HEADER_BYTES;
  elf.writeUInt32LE(PT_LOAD, header);
  elf.writeUInt32LE(PF_READ_EXECUTE, header + 4);
  elf.writeBigUInt64LE(LOAD_ADDRESS, header + 16);
  elf.writeBigUInt64LE(LOAD_ADDRESS, header + 24);
  elf.writeBigUInt64LE(size, header + 32);
  elf.writeBigUInt64LE(size, header + 40);
  elf.writeBigUInt64LE(PAGE_BYTES, header + 48);
  elf.set(target.code, CODE_OFFSET);
  return elf;
}
