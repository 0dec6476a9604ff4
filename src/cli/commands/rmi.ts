/** `berth rmi`: removes images. CRI answers success for an unknown one, so it is looked for first. */
import { RuntimeError } from '../../errors/index.ts';
import { imageService } from '../../gen/index.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { eachWord } from '../each.ts';

export async function run({ args, flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  return await eachWord(args, terminal, async (word) => {
    const { image } = await client.call(imageService.ImageStatus, { image: { image: word } });
    if (image === null)
      throw new RuntimeError(
        'not-found',
        'IMAGE_NOT_FOUND',
        `the image ${JSON.stringify(word)} is not on this node; \`berth images\` lists those that are`,
      );
    await client.call(imageService.RemoveImage, { image: { image: word } });
  });
}
