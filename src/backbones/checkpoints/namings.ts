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

/** Patches of any grid come flattened, [.., 3·P·P], to a product in place of a convolution: in timm's NaFlex ViT, in SigLIP 2. */
function hasFreeSizes(tensors: TensorFile['tensors']): boolean {
  if (tensors.has('embeds.proj.weight')) return true;
  const kernel = ['', 'vision_model.'].map((prefix) => tensors.get(`${prefix}embeddings.patch_embedding.weight`));
  return kernel.some((tensor) => tensor?.shape.length === 2);
}

/** The naming of a file without wrappers. @throws IdatError `backbone.naming` when it has none that idat knows, and for models of no single size */
export function namingOf({ path, tensors }: TensorFile): Naming {
  if (hasFreeSizes(tensors)) {
    const what = 'a NaFlex model, which reads images of any height and width; idat computes models of one size';
    throw new IdatError('backbone.naming', `${path}: is ${what}, choose another, such as siglip2-base-patch16-224`);
  }
  const naming = NAMINGS.find(({ recognises }) => recognises(tensors));
  if (naming) return naming;
  const names = [...tensors.keys()].slice(0, 3).map(printable);
  throw new IdatError(
    'backbone.naming',
    `${path}: holds no backbone idat knows (its tensors: ${names.join(', ') || 'none'}); idat reads ${NAMINGS.map(({ title }) => title).join(', ')}`,
  );
}
