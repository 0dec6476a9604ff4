/** Image records as answers: the user of the config, and that no image spoils the list of all. */
import t from 'tap';
import { imageLists, imageToWire } from '../../../src/cri/convert-image.ts';
import { fromLong } from '../../../src/cri/int64.ts';
import { cri } from '../../../src/gen/index.ts';
import type { Digest } from '../../../src/ids/index.ts';
import type { ImageRecord } from '../../../src/image/index.ts';
import { anImage } from '../../fixtures/container-spec.ts';

const digest = `sha256:${'a'.repeat(64)}` as Digest;
const record = (user: string): ImageRecord => ({
  id: digest,
  repoTags: ['a.io/x:1'],
  repoDigests: [],
  sizeBytes: 1n,
  config: anImage({ user }),
  layers: [],
  manifestDigest: digest,
  layerBlobs: [],
  pulledAtNs: 0n,
  pinned: false,
});

/** As kubelet gets it. */
function sent(user: string): { uid: bigint | undefined; username: string } {
  const [image] = cri.ListImagesResponse.decode(imageLists.response([record(user)])).images;
  const uid = image?.uid;
  return { uid: uid === null || uid === undefined ? undefined : fromLong(uid.value), username: image?.username ?? '' };
}

t.test('a number is a uid, anything else a name; a group is left out', async (t) => {
  const table: [string, bigint | undefined, string][] = [
    ['', undefined, ''],
    ['0', 0n, ''],
    ['1000', 1000n, ''],
    ['1000:1000', 1000n, ''],
    ['1000:staff', 1000n, ''],
    ['web', undefined, 'web'],
    ['web:1000', undefined, 'web'],
    ['web:staff', undefined, 'web'],
    [':1000', undefined, ''],
    ['2147483648', 2_147_483_648n, ''],
    ['4294967294', 4_294_967_294n, ''],
    ['-1', undefined, '-1'],
    ['0x10', undefined, '0x10'],
    ['1e3', undefined, '1e3'],
    ['٣', undefined, '٣'],
  ];
  for (const [user, uid, username] of table) t.same(sent(user), { uid, username }, JSON.stringify(user));
});

t.test('a number beyond every uid is a name like any other, and the list is there', async (t) => {
  for (const user of ['4294967295', '9223372036854775808', '99999999999999999999999999']) {
    t.same(sent(user), { uid: undefined, username: user });
    t.equal(imageToWire(record(user)).uid, undefined);
  }
});
