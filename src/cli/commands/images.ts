/** `berth images`: one line a name, as people look for names. */
import { type cri, imageService } from '../../gen/index.ts';
import { shortId } from '../../ids/index.ts';
import type { Invocation } from '../command.ts';
import { connect } from '../connect.ts';
import { jsonText } from '../json.ts';
import { matchesName } from '../lookup.ts';
import { type Column, formatTable } from '../table.ts';
import { formatBytes } from '../units.ts';

interface Row {
  /** '' for an image that has only a digest. */
  readonly name: string;
  readonly image: cri.Image;
}

export async function run({ args, flags, terminal }: Invocation): Promise<number> {
  using client = connect({ flags, terminal });
  const { images } = await client.call(imageService.ListImages, {});
  const [pattern] = args;
  const rows = images
    .flatMap(rowsOf)
    .filter(({ name }) => pattern === undefined || matchesName(pattern.includes('*') ? pattern : `*${pattern}*`, name));
  const shown = [...new Set(rows.map(({ image }) => image))];
  const format = flags.text('output');
  if (flags.on('quiet')) terminal.out(shown.map((image) => `${image.id}\n`).join(''));
  else if (format === 'json') terminal.out(jsonText({ images: shown }));
  else if (format === 'name') terminal.out(rows.map(({ name, image }) => `${name || image.id}\n`).join(''));
  else terminal.out(formatTable(COLUMNS, rows, format === 'wide'));
  return 0;
}

function rowsOf(image: cri.Image): Row[] {
  const names = image.repoTags.length > 0 ? image.repoTags : [image.repoDigests[0] ?? ''];
  return names.map((name) => ({ name, image }));
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'IMAGE', cell: ({ name }) => name },
  { heading: 'IMAGE ID', cell: ({ image }) => shortId(image.id) },
  { heading: 'SIZE', cell: ({ image }) => formatBytes(Number(image.size.toString())) },
  { heading: 'PINNED', cell: ({ image }) => (image.pinned ? 'yes' : 'no') },
  { heading: 'USER', wide: true, cell: ({ image }) => image.username || (image.uid === null ? '' : image.uid.value.toString()) },
  { heading: 'DIGEST', wide: true, cell: ({ image }) => image.repoDigests[0]?.replace(/^.*@/, '') ?? '' },
];
