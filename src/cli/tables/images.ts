/** Commands about images and their registries. */
import type { Command } from '../command.ts';
import { CREDS, output, QUIET } from './flags.ts';

export const IMAGES_COMMANDS: readonly Command[] = [
  {
    name: 'images',
    group: 'Images',
    summary: 'List images',
    args: [{ name: 'NAME', optional: true }],
    flags: [output('wide', 'json', 'name'), QUIET],
    load: () => import('../commands/images.ts'),
  },
  {
    name: 'pull',
    group: 'Images',
    summary: 'Pull an image from its registry',
    details:
      'On a terminal a bar a layer shows how much is downloaded and unpacked; elsewhere a line is printed for each layer that is done.',
    args: [{ name: 'IMAGE' }],
    flags: [CREDS, { name: 'quiet', short: 'q', summary: 'Print only the image’s id' }],
    load: () => import('../commands/pull.ts'),
  },
  {
    name: 'pulls',
    group: 'Images',
    summary: 'List pulls under way and the last that ended, whoever asked for them',
    details:
      'With --watch on a terminal the list is redrawn as it changes; elsewhere, and with -o json, a line is printed for each pull under way and each time the state of one changes. Ctrl-C ends it with exit code 0.',
    args: [],
    flags: [{ name: 'watch', short: 'w', summary: 'Go on until interrupted' }, output('wide', 'json')],
    load: () => import('../commands/pulls.ts'),
  },
  {
    name: 'rmi',
    group: 'Images',
    summary: 'Remove images',
    details: 'Containers that run from a removed image go on; its space is free when the last of them is removed.',
    args: [{ name: 'IMAGE', many: true }],
    flags: [],
    load: () => import('../commands/rmi.ts'),
  },
  {
    name: 'image load',
    group: 'Images',
    summary: 'Bring the images of an archive onto the node',
    details:
      'Takes OCI image layouts (directories, and tars of them), archives of docker save, and directories of skopeo copy dir:. A tar may be compressed with gzip or zstd. What it is shows in its content. Standard input is read into a temporary file in $TMPDIR or /var/tmp first. A line is printed for each image: its id and the names the archive gives it. An image without a name is found by its id, or gets the one of --name. Images before a broken one stay.',
    args: [],
    flags: [
      { name: 'input', short: 'i', value: 'FILE|DIR', summary: 'The archive; - or no such flag is standard input' },
      { name: 'pin', summary: 'Keep the images from being collected by kubelet, until they are removed' },
      {
        name: 'name',
        value: 'REF',
        summary: 'Name for the image that has none; a name without a tag completes images that the archive names by a tag only',
      },
      QUIET,
    ],
    examples: [
      'berth image load -i app.tar',
      'zstd -dc images.tar.zst | berth image load --pin',
      'berth image load -i layout/ --name registry.example/app:1',
    ],
    load: () => import('../commands/image-load.ts'),
  },
  {
    name: 'image save',
    group: 'Images',
    summary: 'Write images into one archive',
    details:
      'The archive is an OCI image layout that docker load takes too, or with --format docker what docker save wrote before. The same images give the same bytes. An image asked for by a tag is saved under that tag, one asked for by id or digest under all its tags. A file appears under its name when it is whole.',
    args: [{ name: 'IMAGE', many: true }],
    flags: [
      { name: 'output', short: 'o', value: 'FILE', summary: 'Where to; - or no such flag is standard output' },
      { name: 'format', value: 'FORMAT', choices: ['oci', 'docker'], summary: 'Form of the archive (default oci)' },
    ],
    examples: ['berth image save app:1 db:2 -o images.tar', 'berth image save app:1 | ssh node berth image load'],
    load: () => import('../commands/image-save.ts'),
  },
  {
    name: 'image push',
    group: 'Images',
    summary: 'Send an image to a registry',
    details:
      'Without TARGET it goes to where its name says. Blobs that the registry has are not sent again; a layer that the node has as a plain tar only is compressed first, which makes a new manifest and keeps the image’s id. Prints the name with the digest the image has there.',
    args: [{ name: 'IMAGE' }, { name: 'TARGET', optional: true }],
    flags: [CREDS],
    examples: ['berth image push app:1 registry.example/team/app:1'],
    load: () => import('../commands/image-push.ts'),
  },
  {
    name: 'registry test',
    group: 'Images',
    summary: 'Ask every endpoint that a pull of the image would ask, without pulling',
    details:
      'Shows in order who is asked and why, through which proxy, with which TLS certificate, as whom, what it answers, how long that takes, and what a pull would do then. The exit code is 0 when a pull would find the image.',
    args: [{ name: 'IMAGE' }],
    flags: [CREDS, output('json')],
    load: () => import('../commands/registry-test.ts'),
  },
  {
    name: 'check',
    group: 'Images',
    summary: 'Verify what is stored on the node',
    details:
      'With --images every layer of the images named, or of all, is read and compared with what was unpacked: contents, names, owners, modes, times and attributes. A damaged layer counts as absent from then on: pulling an image that has it brings that layer anew, which is what --repair does with the node’s own credentials. Running containers keep the files they have. Exit code 1 when a layer is damaged and was not repaired.',
    args: [{ name: 'IMAGE', many: true, optional: true }],
    flags: [
      { name: 'images', summary: 'Verify the layers of images' },
      { name: 'repair', summary: 'Bring damaged layers anew from where they came from' },
      output('json'),
    ],
    examples: ['berth check --images', 'berth check --images --repair docker.io/library/nginx:alpine'],
    load: () => import('../commands/check.ts'),
  },
];
