// The demo's image, made on the spot from Debian's busybox-static: three layers, so that a pull shows several, and one
// of them replaces a file of a lower one.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type BuiltImage, buildImage, type TarEntry } from '../image-builder.ts';

/** Port that httpd listens on inside the pod. */
export const HTTP_PORT = 8080;

/** Incompressible, so that the download is long enough to be seen. */
const PADDING_BYTES = 8 * 1024 * 1024;

const PAGE = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\necho "hello from pod $(hostname), process $$"\n';

/** Same input, same digests: a second run pulls the same image. */
export function demoImage(): BuiltImage {
  const base: TarEntry[] = [
    ...['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'www', 'www/cgi-bin'].map((path): TarEntry => ({ path, type: 'directory' })),
    { path: 'bin/busybox', mode: 0o755, content: readFileSync('/bin/busybox') },
    ...applets(),
    { path: 'etc/passwd', content: 'root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000:web:/www:/bin/sh\n' },
    { path: 'etc/motd', content: 'from the first layer\n' },
  ];
  const content: TarEntry[] = [
    { path: 'www/index.html', content: 'hello from a container that berth runs\n' },
    { path: 'www/cgi-bin/whoami', mode: 0o755, content: PAGE },
    { path: 'etc/motd', content: 'from the second layer, which replaced the first one’s\n' },
  ];
  const padding: TarEntry[] = [{ path: 'www/blob', content: noise(PADDING_BYTES) }];
  return buildImage({
    layers: [{ entries: base }, { entries: content }, { entries: padding, compression: 'zstd' }],
    config: {
      Cmd: ['/bin/httpd', '-f', '-v', '-p', String(HTTP_PORT), '-h', '/www'],
      Env: ['PATH=/bin'],
      WorkingDir: '/www',
      StopSignal: 'SIGTERM',
    },
  });
}

/** One link for each command that busybox knows. */
function applets(): TarEntry[] {
  const listed = spawnSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).stdout ?? '';
  const names = listed.split('\n').filter((name) => name !== '' && name !== 'busybox');
  return names.map((name) => ({ path: `bin/${name}`, type: 'symlink', target: 'busybox' }));
}

/** Deterministic noise (xorshift32). */
function noise(bytes: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  let word = 0x9e3779b9;
  for (let at = 0; at < words.length; at += 1) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[at] = word;
  }
  return Buffer.from(words.buffer);
}
