/** The C library's heap: what native code and threads freed goes back to the kernel only when asked. */
import { libcFunction } from './libc.ts';

const mallocTrim = libcFunction('int malloc_trim(size_t pad)');

/** Gives freed memory of the C heap back to the kernel (malloc_trim(3)); takes some ms, so for after large work. */
export function returnFreedMemory(): void {
  mallocTrim(0);
}
