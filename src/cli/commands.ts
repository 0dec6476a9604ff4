/**
 * The command table. Everything that is said about a command (overview, its
 * help, docs/cli.md) and everything its arguments are checked by stands in
 * its row; its code is loaded by `load` when it runs.
 */
import type { Command } from './command.ts';
import { IMAGES_COMMANDS } from './tables/images.ts';
import { NODE_COMMANDS } from './tables/node.ts';
import { PODS_COMMANDS } from './tables/pods.ts';

export const COMMANDS: readonly Command[] = [...PODS_COMMANDS, ...IMAGES_COMMANDS, ...NODE_COMMANDS];
