/** The io controller, v2: io.stat per device and io.pressure. */

import type { ReadFile } from './files.ts';
import { integer, nested, pressure } from './parse.ts';
import type { CgroupStats, IoDeviceStats } from './types.ts';

const DEVICE = /^\d+:\d+$/;

/** Rows of io.stat; a device the cgroup never used may stand there without figures and is left out. */
function parseIoStat(text: string | undefined): IoDeviceStats[] {
  const devices: IoDeviceStats[] = [];
  for (const { name, values } of nested(text)) {
    if (!DEVICE.test(name) || values.rbytes === undefined) continue;
    devices.push({
      device: name,
      readBytes: integer(values.rbytes) ?? 0n,
      writeBytes: integer(values.wbytes) ?? 0n,
      reads: integer(values.rios) ?? 0n,
      writes: integer(values.wios) ?? 0n,
    });
  }
  return devices;
}

/** Both files. */
export function readIo(read: ReadFile): CgroupStats['io'] {
  const psi = pressure(read('io.pressure'));
  return { devices: parseIoStat(read('io.stat')), ...(psi !== undefined && { psi }) };
}
