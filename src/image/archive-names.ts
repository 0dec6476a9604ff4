/**
 * Which names the images of an archive get. An archive names them in full, by
 * a tag alone, or not at all. A name of the caller's goes to the one image
 * that has none, or to the only one; given without a tag it completes the
 * bare tags. An image that ends up without a name is found by its id. Pure.
 */
import type { ArchivedImage } from '../archive/index.ts';
import { RuntimeError } from '../errors/index.ts';
import { nameOf, parseReference, type Reference } from '../registry/index.ts';

/** An image and what it is to be called. */
export interface NamedImage<Image> {
  readonly image: Image;
  readonly references: readonly Reference[];
}

type Names = Pick<ArchivedImage, 'names' | 'tags'>;

/** The images with their names; `given` is the caller's, '' for none. Throws IMAGE_REFERENCE, INVALID_ARGUMENT. */
export function nameImages<Image extends Names>(images: readonly Image[], given: string, path: string): NamedImage<Image>[] {
  const named = images.map((image) => ({ image, references: image.names.map((name) => parseReference(name)) }));
  if (given === '') return named;
  const name = parseReference(given);
  if (name.digest !== undefined) throw refused(given, 'it has a digest; an image’s digest is its own');
  const nameless = named.filter(({ references }) => references.length === 0);
  if (!hasTag(given) && nameless.length > 0 && nameless.every(({ image }) => image.tags.length > 0)) {
    return named.map((each) => (nameless.includes(each) ? { ...each, references: tagged(name, each.image.tags) } : each));
  }
  const candidates = nameless.length > 0 ? nameless : named;
  const [only, ...others] = candidates;
  if (only === undefined || others.length > 0) {
    throw refused(given, `${path} holds ${candidates.length} images ${nameless.length > 0 ? 'without a name' : 'with names of their own'}`);
  }
  return named.map((each) => (each === only ? { ...each, references: [...each.references, name] } : each));
}

/** A colon after the last slash begins a tag. */
const hasTag = (text: string): boolean => text.lastIndexOf(':') > text.lastIndexOf('/');

const tagged = (name: Reference, tags: readonly string[]): Reference[] => tags.map((tag) => parseReference(`${nameOf(name)}:${tag}`));

function refused(given: string, why: string): RuntimeError {
  return new RuntimeError(
    'invalid',
    'INVALID_ARGUMENT',
    `the name ${JSON.stringify(given)} cannot be given: ${why}; load it without a name`,
  );
}
