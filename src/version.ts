/** The version of this berth: package.json is the one place it is written. */
import manifest from '../package.json' with { type: 'json' };

/** Semantic version, e.g. 0.1.0. */
export const VERSION: string = manifest.version;
