/** Whose names a checkpoint uses, found by its names. */
import { IdatError, printable } from '../../errors.js';
import { googleViT } from './google-vit.js';
import { huggingFaceClip } from './huggingface-clip.js';
import { huggingFaceDinov2 } from './huggingface-dinov2.js';
import { huggingFaceDinov3 } from './huggingface-dinov3.js';
import { huggingFaceSwin } from './huggingface-swin.js';
import { huggingFaceViT } from './huggingface-vit.js';
import type { Naming, TensorFile } from './naming.js';
import { timmDinov3 } from './timm-dinov3.js';
import { timmSwin } from './timm-swin.js';
import { timmViT } from './timm-vit.js';

/** One naming, one file and one line here. The first that recognises a file reads it. */
export const NAMINGS: readonly Naming[] = [
  huggingFaceSwin,
  huggingFaceDinov2,
  huggingFaceDinov3,
  huggingFaceClip,
  huggingFaceViT,
  timmSwin,
  timmDinov3,
  timmViT,
  googleViT,
];

/** The naming of a file without wrappers. @throws IdatError `backbone.naming` when it has none that idat knows */
export function namingOf({ path, tensors }: TensorFile): Naming {
  const naming = NAMINGS.find(({ recognises }) => recognises(tensors));
  if (naming) return naming;
  const names = [...tensors.keys()].slice(0, 3).map(printable);
  throw new IdatError(
    'backbone.naming',
    `${path}: holds no backbone idat knows (its tensors: ${names.join(', ') || 'none'}); idat reads ${NAMINGS.map(({ title }) => title).join(', ')}`,
  );
}
