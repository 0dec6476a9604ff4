/** From a reference to the documents of an image for this machine: indexes, platforms, what is refused. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { type BuiltImage, buildImage } from '../../../hack/lib/image-builder.ts';
import type { Digest } from '../../../src/ids/index.ts';
import { type ResolvedImage, resolveImage } from '../../../src/image/pull.ts';
import type { ImageSource } from '../../../src/image/source.ts';
import { hostPlatform } from '../../../src/registry/index.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const LAYERS = [{ entries: [{ path: 'a', content: 'a' }] }];
const mine = buildImage({ layers: LAYERS });
const foreign = buildImage({ layers: LAYERS, architecture: 's390x' });
const { os, architecture } = hostPlatform();

/** Documents by digest, as a registry would have them. */
class Shelf implements ImageSource {
  readonly #documents = new Map<string, Buffer>();
  /** Digests of the manifests that were asked for. */
  readonly asked: string[] = [];
  #root = '';

  constructor(...images: BuiltImage[]) {
    for (const image of images) {
      for (const [digest, bytes] of image.blobs) this.#documents.set(digest, bytes);
      this.#documents.set(image.manifest.descriptor.digest, image.manifest.bytes);
    }
  }

  /** Keeps a document, which becomes what the reference names, and answers its descriptor. */
  put(value: object, mediaType = INDEX): { mediaType: string; digest: string; size: number } {
    const bytes = Buffer.from(JSON.stringify(value));
    this.#root = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    this.#documents.set(this.#root, bytes);
    return { mediaType, digest: this.#root, size: bytes.length };
  }

  async manifest(digest: Digest | undefined): Promise<{ bytes: Buffer; digest: Digest; contentType: string }> {
    const wanted = (digest ?? this.#root) as Digest;
    this.asked.push(wanted);
    return { bytes: this.#get(wanted), digest: wanted, contentType: '' };
  }

  async smallBlob({ digest }: { digest: string }): Promise<Buffer> {
    return this.#get(digest);
  }

  async blob(): Promise<never> {
    throw new Error('no layer is asked for');
  }

  resolve(): Promise<ResolvedImage> {
    return resolveImage(this, 'image example.org/app:1', new AbortController().signal);
  }

  #get(digest: string): Buffer {
    const bytes = this.#documents.get(digest);
    if (bytes === undefined) throw new Error(`${digest} was not put there`);
    return bytes;
  }
}

const index = (...manifests: object[]): object => ({ schemaVersion: 2, mediaType: INDEX, manifests });
const entry = (image: BuiltImage, platform?: object): object => ({
  ...image.manifest.descriptor,
  ...(platform === undefined ? {} : { platform }),
});
const forMine = { os, architecture };
const forForeign = { os, architecture: 's390x' };

t.test('an index in an index is gone into; the digest name stays that of the outermost', async (t) => {
  const shelf = new Shelf(mine, foreign);
  const inner = shelf.put(index(entry(foreign, forForeign), entry(mine, forMine)));
  const middle = shelf.put(index(inner));
  const outer = shelf.put(index(middle));
  const image = await shelf.resolve();
  t.match(image, { id: mine.id, manifestDigest: mine.manifest.descriptor.digest, targetDigest: outer.digest });
});

t.test('an inner index without this platform does not hide the next one', async (t) => {
  const shelf = new Shelf(mine, foreign);
  const without = shelf.put(index(entry(foreign, forForeign)));
  const withIt = shelf.put(index(entry(mine, forMine)));
  shelf.put(index(without, withIt));
  t.equal((await shelf.resolve()).id, mine.id);
  shelf.put(index({ ...without, platform: forMine }, withIt));
  t.equal((await shelf.resolve()).id, mine.id, 'also when it claims to have it');
});

t.test('when no index has it, all the platforms found are named', async (t) => {
  const shelf = new Shelf(foreign);
  const arm = entry(foreign, { os, architecture: 'arm', variant: 'v7' });
  const one = shelf.put(index(entry(foreign, forForeign), arm));
  const two = shelf.put(index(entry(foreign, { os: 'windows', architecture })));
  shelf.put(index(one, two));
  const message = new RegExp(`not for this node’s platform ${os}/${architecture}.*${os}/s390x, ${os}/arm/v7, windows/${architecture}`);
  await t.rejects(shelf.resolve(), { name: 'RuntimeError', kind: 'unknown', reason: 'IMAGE_PLATFORM', message });
  shelf.put(index());
  await t.rejects(shelf.resolve(), { name: 'RuntimeError', reason: 'IMAGE_PLATFORM', message: /it is for: none/ });
});

t.test('platforms that no platform is called are shown short and on one line', async (t) => {
  const shelf = new Shelf(foreign);
  const names = ['x'.repeat(1_000_000), 'a\nb', '\ud800', '\u001b[2J'];
  shelf.put(index(...names.map((name) => entry(foreign, { os: name, architecture: name }))));
  await t.rejects(shelf.resolve(), { name: 'RuntimeError', reason: 'IMAGE_PLATFORM', message: /^\P{C}{1,1000}$/u });
});

t.test('a chain and a thicket of indexes come to an end', async (t) => {
  const chain = new Shelf(mine);
  let inner: object = entry(mine, forMine);
  for (let level = 0; level < 6; level += 1) inner = chain.put(index(inner));
  await t.rejects(chain.resolve(), { name: 'RuntimeError', reason: 'IMAGE_MANIFEST', message: /nests deeper than 3/ });
  const thicket = new Shelf(foreign);
  const twigs = Array.from({ length: 200 }, (_, at) =>
    thicket.put({ ...index(entry(foreign, forForeign)), annotations: { at: String(at) } }),
  );
  thicket.put(index(...twigs));
  await t.rejects(thicket.resolve(), { name: 'RuntimeError', reason: 'IMAGE_MANIFEST', message: /more than \d+ indexes/ });
  t.ok(thicket.asked.length < 50, `${thicket.asked.length} documents were asked for`);
});

t.test('entries of other kinds, signatures say, do not stand for the image', async (t) => {
  const shelf = new Shelf(mine);
  const signature = shelf.put({ schemaVersion: 2, any: 'thing' }, 'application/vnd.example.signature.v1+json');
  shelf.put(index(signature, { ...signature, platform: forMine }, entry(mine)));
  t.equal((await shelf.resolve()).id, mine.id);
});

t.test('an image that says its platform in its config only is refused for another one', async (t) => {
  const shelf = new Shelf(foreign);
  shelf.put(JSON.parse(foreign.manifest.bytes.toString()));
  await t.rejects(shelf.resolve(), { name: 'RuntimeError', reason: 'IMAGE_PLATFORM', message: /it is for: linux\/s390x/ });
  shelf.put(index(entry(foreign)));
  await t.rejects(shelf.resolve(), { name: 'RuntimeError', reason: 'IMAGE_PLATFORM' }, 'also behind an index that says none');
  shelf.put(index(entry(foreign, forMine)));
  await t.rejects(shelf.resolve(), { name: 'RuntimeError', reason: 'IMAGE_PLATFORM' }, 'also behind an index that says another');
});

t.test('as many layers as diffIDs, or it is refused', async (t) => {
  const shelf = new Shelf(mine);
  const document = JSON.parse(mine.manifest.bytes.toString());
  shelf.put({ ...document, layers: [...document.layers, ...document.layers] });
  await t.rejects(shelf.resolve(), { name: 'RuntimeError', reason: 'IMAGE_MANIFEST', message: /has 2 layers, its config 1/ });
});
