// The images that pulls are measured with, generated once and kept as an OCI image layout in .cache/, one layer in
// memory at a time. The layout's name is the digest of the code that makes it and of the Node whose zlib it went
// through, so a change of either makes a new one; index.json is written last and its presence means complete.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { assembleImage, type Descriptor, digestOf, type LayerDescriptor, packLayer, pushBlob, pushManifest } from '../image-builder.ts';
import type { RunningRegistry } from '../registry.ts';
import { buildTar } from '../tar.ts';
import { growLayer, type LayerPaths, type LayerPlan } from './layer-content.ts';

const CACHE = new URL('../../../.cache/bench-images/', import.meta.url).pathname;
const SOURCES = ['content.ts', 'layer-content.ts', 'pull-images.ts', '../image-builder.ts', '../tar.ts'];
const REPOSITORY = 'bench/pull';
/** OCI image-spec annotations.md. */
const NAME_ANNOTATION = 'org.opencontainers.image.ref.name';

/** The images' names, which are their tags. */
export const IMAGE_NAMES = ['gzip', 'zstd', 'layers', 'shared-1', 'shared-2'] as const;
export type ImageName = (typeof IMAGE_NAMES)[number];

/** An image in the registry. */
export interface PushedImage {
  readonly reference: string;
  /** Digest of its config, which PullImage is to answer. */
  readonly id: string;
}

const NOTHING: Omit<LayerPlan, 'seed' | 'roots' | 'text' | 'code' | 'noise'> = {
  symlinks: 0,
  hardLinks: 0,
  replaced: 0,
  removed: 0,
  emptied: 0,
  owner: 0,
};

/** A distribution, a language's runtime, an application's dependencies, the application: about 80 MB of gzip, 17,000 files. */
const STACK: readonly LayerPlan[] = [
  {
    ...NOTHING,
    seed: 1,
    roots: ['usr/bin', 'usr/lib/x86_64-linux-gnu', 'usr/share/doc', 'usr/share/zoneinfo', 'etc', 'var/lib/dpkg/info'],
    text: { files: 2687, medianBytes: 3300 },
    code: { files: 380, medianBytes: 52_000 },
    noise: { files: 120, medianBytes: 12_000 },
    symlinks: 260,
    hardLinks: 90,
  },
  {
    ...NOTHING,
    seed: 2,
    roots: ['usr/local/lib', 'usr/local/include', 'usr/local/share/man', 'usr/share/doc'],
    text: { files: 3890, medianBytes: 3300 },
    code: { files: 60, medianBytes: 290_000 },
    noise: { files: 40, medianBytes: 20_000 },
    symlinks: 80,
    hardLinks: 20,
    replaced: 12,
    removed: 8,
  },
  {
    ...NOTHING,
    seed: 3,
    roots: ['srv/app/node_modules', 'srv/app/node_modules/@scope'],
    text: { files: 8300, medianBytes: 3300 },
    code: { files: 40, medianBytes: 170_000 },
    noise: { files: 260, medianBytes: 12_000 },
    symlinks: 60,
    hardLinks: 10,
    removed: 6,
    owner: 1000,
  },
  {
    ...NOTHING,
    seed: 4,
    roots: ['srv/app/dist', 'srv/app/public', 'srv/app/locales'],
    text: { files: 1150, medianBytes: 5500 },
    code: { files: 10, medianBytes: 340_000 },
    noise: { files: 40, medianBytes: 40_000 },
    replaced: 8,
    removed: 10,
    emptied: 3,
    owner: 1000,
  },
];

/** As a Dockerfile with many steps makes them: the lowest ones large, most of them small. About 30 MB of gzip. */
const LAYERS = 60;
const weights = Array.from({ length: LAYERS }, (_, at) => 1 / (at + 3));
const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
const STEPS: readonly LayerPlan[] = weights.map((weight, at) => {
  const share = (files: number): number => Math.ceil((files * weight) / totalWeight);
  return {
    ...NOTHING,
    seed: 100 + at,
    roots: ['usr/lib', 'usr/share', 'opt', `opt/step-${at}`],
    text: { files: share(5000), medianBytes: 2800 },
    code: { files: share(190), medianBytes: 108_000 },
    noise: { files: share(140), medianBytes: 12_000 },
    symlinks: 2,
    replaced: at === 0 ? 0 : 2,
    removed: at === 0 ? 0 : 1,
  };
});

/** Two applications on the same distribution and runtime, the two lowest layers of STACK. */
const SHARED_BELOW = 2;
const TOPS: readonly LayerPlan[] = [200, 201].map((seed) => ({
  ...NOTHING,
  seed,
  roots: ['srv/app'],
  text: { files: 400, medianBytes: 4000 },
  code: { files: 12, medianBytes: 150_000 },
  noise: { files: 30, medianBytes: 60_000 },
  replaced: 2,
  removed: 2,
}));

/** Generates what is not there yet and pushes everything. */
export async function pushPullImages(registry: RunningRegistry, signal: AbortSignal): Promise<Record<ImageName, PushedImage>> {
  const dir = await layout(signal);
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as Index;
  const target = { url: `http://${registry.host}`, repository: REPOSITORY };
  const pushed = new Set<string>();
  const images = new Map<string, PushedImage>();
  for (const { annotations, ...descriptor } of index.manifests) {
    const reference = annotations[NAME_ANNOTATION];
    const bytes = readFileSync(blobPath(dir, descriptor.digest));
    const { config, layers } = JSON.parse(bytes.toString()) as { config: Descriptor; layers: Descriptor[] };
    for (const { digest } of [config, ...layers]) {
      signal.throwIfAborted();
      if (!pushed.has(digest)) await pushBlob({ ...target, reference }, digest, readFileSync(blobPath(dir, digest)));
      pushed.add(digest);
    }
    await pushManifest({ bytes, descriptor }, { ...target, reference });
    images.set(reference, { reference: `${registry.host}/${REPOSITORY}:${reference}`, id: config.digest });
  }
  return Object.fromEntries(images) as Record<ImageName, PushedImage>; // the layout has one for each of IMAGE_NAMES
}

/** index.json of an image layout, as far as it is needed. */
interface Index {
  readonly manifests: readonly (Descriptor & { annotations: { [NAME_ANNOTATION]: string } })[];
}

/** The layout's directory, generated when it is not there. */
async function layout(signal: AbortSignal): Promise<string> {
  const code = SOURCES.map((file) => readFileSync(new URL(file, import.meta.url)));
  const key = digestOf(Buffer.concat([...code, Buffer.from(process.version)])).slice('sha256:'.length);
  const dir = join(CACHE, key);
  if (existsSync(join(dir, 'index.json'))) return dir;
  console.error(`generating the images into ${dir}, for this time and the next...`);
  rmSync(CACHE, { recursive: true, force: true }); // what older code made
  mkdirSync(join(dir, 'blobs/sha256'), { recursive: true });
  const manifests = await generate(dir, signal);
  writeFileSync(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests } satisfies Index & { schemaVersion: number }));
  return dir;
}

async function generate(dir: string, signal: AbortSignal): Promise<Index['manifests']> {
  const store = (bytes: Buffer): void => writeFileSync(blobPath(dir, digestOf(bytes)), bytes);
  const pack = (tar: Buffer, compression: 'gzip' | 'zstd'): LayerDescriptor => {
    const { bytes, ...layer } = packLayer({ tar, compression });
    store(bytes);
    return layer;
  };
  const images: Record<ImageName, LayerDescriptor[]> = { gzip: [], zstd: [], layers: [], 'shared-1': [], 'shared-2': [] };
  const stackPaths: LayerPaths[] = [];
  for await (const tar of tars(STACK, stackPaths, signal)) {
    images.gzip.push(pack(tar, 'gzip'));
    images.zstd.push(pack(tar, 'zstd'));
  }
  for await (const tar of tars(STEPS, [], signal)) images.layers.push(pack(tar, 'gzip'));
  for (const [at, name] of (['shared-1', 'shared-2'] as const).entries()) {
    images[name].push(...images.gzip.slice(0, SHARED_BELOW));
    for await (const tar of tars(TOPS.slice(at, at + 1), stackPaths.slice(0, SHARED_BELOW), signal)) images[name].push(pack(tar, 'gzip'));
  }
  return IMAGE_NAMES.map((name) => {
    const { blobs, manifest } = assembleImage(images[name]);
    for (const bytes of [...blobs.values(), manifest.bytes]) store(bytes);
    return { ...manifest.descriptor, annotations: { [NAME_ANNOTATION]: name } };
  });
}

/** The tars of layers on top of `below`, one after the other; their paths are added to `below`. */
async function* tars(plans: readonly LayerPlan[], below: LayerPaths[], signal: AbortSignal): AsyncGenerator<Buffer> {
  for (const plan of plans) {
    await turn(); // lets an interruption in
    signal.throwIfAborted();
    const { entries, paths } = growLayer(plan, below);
    below.push(paths);
    yield buildTar(entries);
  }
}

const blobPath = (dir: string, digest: string): string => join(dir, 'blobs/sha256', digest.slice('sha256:'.length));
