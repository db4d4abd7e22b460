/** What timm's code says of an architecture and no file of its weights does, by the architecture's name. */
import { IdatError, printable } from '../../errors.js';
import type { ViTFacts } from './vit-sizes.js';

/** The first pattern that matches counts. @see timm's models/vision_transformer.py and eva.py, version 1.0 */
const FACTS: readonly (readonly [name: RegExp, facts: ViTFacts])[] = [
  [/_clip_quickgelu_/, { activation: 'quick_gelu', layerNormEps: 1e-5 }],
  [/_clip_/, { activation: 'gelu', layerNormEps: 1e-5 }],
  [
    /^vit_(base_patch32_siglip_(gap_)?256|large_patch16_siglip_(gap_)?512|(so400m|giantopt)_patch16_siglip_)/,
    { activation: 'gelu_tanh' },
  ],
  [/_dinov3/, { rotary: 100, layerNormEps: 1e-5, pool: 'avg' }],
  [/^beit3_/, { layerNormEps: 1e-5 }],
];

/** Their tensors are named as those of models that idat computes, and mean something else. */
const OTHERS = /_rope_|_pe_(core|lang|spatial)_|_rpn_|_lingbot|_sapiens|_radio_/;

/** @throws IdatError `backbone.architecture` for one that idat would compute wrongly */
export function architectureFacts(path: string, architecture: string | undefined): ViTFacts {
  if (architecture === undefined) return {};
  if (OTHERS.test(architecture)) {
    const what = `${printable(architecture)} is a ViT of another kind than its tensors show, which idat does not compute`;
    throw new IdatError('backbone.architecture', `${path}: ${what}; choose another model`);
  }
  return FACTS.find(([name]) => name.test(architecture))?.[1] ?? {};
}
