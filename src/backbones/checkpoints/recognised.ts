/** From the tensors of a file, whatever the format, to a checkpoint in idat's words. */
import { IdatError } from '../../errors.js';
import type { BackboneSizes } from '../backbone.js';
import type { Companions } from './companions.js';
import { knownMetadata } from './metadata.js';
import { type Checkpoint, type TensorFile, unwrapped } from './naming.js';
import { namingOf } from './namings.js';

/**
 * @param companions what lies beside the file; read when its naming is known
 * @param besides names of tensors to pass over
 * @param known sizes known from elsewhere, for what neither tensors nor the files beside them tell
 * @throws IdatError `backbone.tensors`, and as `namingOf` and its naming
 */
export async function checkpointOf(
  opened: TensorFile,
  companions: () => Promise<Companions>,
  besides?: RegExp,
  known: BackboneSizes = {},
): Promise<Checkpoint> {
  const file = annotated(unwrapped(without(bounded(opened), besides)), known);
  const translation = namingOf(file).translate(file, await companions());
  return { path: file.path, files: file.files, ...translation };
}

/** The file with what is known of it among its notes; its own come first. */
const annotated = (file: TensorFile, known: BackboneSizes): TensorFile => ({
  ...file,
  metadata: { ...knownMetadata(known), ...file.metadata },
});

function without(file: TensorFile, besides: RegExp | undefined): TensorFile {
  if (!besides) return file;
  return { ...file, tensors: new Map([...file.tensors].filter(([name]) => !besides.test(name))) };
}

/**
 * A file of so many tensors is no backbone: the deepest that idat reads has some six thousand, and the towers that lie
 * beside it in one file are no deeper. Each name costs a look at every row of a naming's table.
 */
const MAX_TENSORS = 50_000;

/** @throws IdatError `backbone.tensors` */
function bounded(file: TensorFile): TensorFile {
  const { size } = file.tensors;
  if (size <= MAX_TENSORS) return file;
  const what = `holds ${size} tensors, more than any backbone; idat reads files of up to ${MAX_TENSORS}`;
  throw new IdatError('backbone.tensors', `${file.path}: ${what}`);
}
