/** What lies beside the weights and says what they do not: config.json of transformers or timm, preprocessor_config.json. */

import { z } from 'zod';
import { IdatError, printable } from '../../errors.js';
import { type ImageSize, imageSizeOf } from '../../image-size.js';
import { activationByName } from '../activations.js';
import type { Activation } from '../backbone.js';
import { Colour } from './colour.js';

const count = z.int().min(1).max(1_000_000);
/** Patches are square: one number, or the same one twice. */
const side = z
  .union([count, z.tuple([count, count]).refine(([height, width]) => height === width, 'expected a square')])
  .transform((value) => (typeof value === 'number' ? value : value[0]));
/** Images need not be: a side, or height and width. */
const imageSize = z
  .union([count, z.tuple([count, count])])
  .transform((value): ImageSize => (typeof value === 'number' ? value : imageSizeOf(...value)));
const colour = Colour;

/** What transformers says of one model. */
const Sizes = {
  hidden_act: z.string().optional(),
  layer_norm_eps: z.number().optional(),
  num_attention_heads: count.optional(),
  image_size: imageSize.optional(),
  patch_size: side.optional(),
  use_absolute_embeddings: z.boolean().optional(),
  rope_theta: z.number().optional(),
};

/** config.json of transformers; a model of images and texts has one of its image tower within. */
export const HuggingFaceConfig = z.looseObject({
  model_type: z.string(),
  ...Sizes,
  vision_config: z.looseObject(Sizes).optional(),
});
export type HuggingFaceConfig = z.output<typeof HuggingFaceConfig>;

/** config.json of timm: with `pretrained_cfg`, or its fields at the top as in older files. */
const Normalisation = { mean: colour.optional(), std: colour.optional() };
export const TimmConfig = z.looseObject({
  architecture: z.string(),
  ...Normalisation,
  global_pool: z.string().optional(),
  pretrained_cfg: z.looseObject({ ...Normalisation, input_size: z.tuple([count, count, count]).optional() }).optional(),
  model_args: z
    .looseObject({
      num_heads: count.optional(),
      img_size: imageSize.optional(),
      global_pool: z.string().optional(),
      act_layer: z.string().optional(),
    })
    .optional(),
});
export type TimmConfig = z.output<typeof TimmConfig>;

export const Preprocessor = z.looseObject({
  do_normalize: z.boolean().optional(),
  do_rescale: z.boolean().optional(),
  rescale_factor: z.number().optional(),
  image_mean: colour.optional(),
  image_std: colour.optional(),
});
export type Preprocessor = z.output<typeof Preprocessor>;

export interface Companions {
  /** Where config.json lies or would lie, for messages. */
  readonly configPath: string;
  /** null where there is none of that kind. */
  readonly huggingFace: HuggingFaceConfig | null;
  readonly timm: TimmConfig | null;
  readonly preprocessor: Preprocessor | null;
}

export const NO_COMPANIONS: Companions = {
  configPath: 'config.json',
  huggingFace: null,
  timm: null,
  preprocessor: null,
};

/** @throws IdatError `backbone.config` naming the field */
export function checked<S extends z.ZodType>(path: string, schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const { path: field, message, input } = parsed.error.issues[0]!;
  const got = printable(JSON.stringify(input) ?? 'nothing');
  throw refused(path, `${field.join('.') || 'the file'}: ${message}, got ${got}`);
}

export const refused = (path: string, what: string, cause?: unknown): IdatError =>
  new IdatError(
    'backbone.config',
    `${path}: ${what}; get the file again, or remove it if it belongs to something else`,
    {
      cause,
    },
  );

/**
 * The configuration of transformers, when there is one, as one of a model that idat computes.
 * @throws IdatError `backbone.config` for another kind of model or another activation
 */
export function usableConfig(path: string, { configPath, huggingFace }: Companions, { kinds, activations }: Usable) {
  if (!huggingFace) return null;
  const { model_type, vision_config, ...own } = huggingFace;
  const config = vision_config ?? own;
  const { hidden_act, use_absolute_embeddings = false } = config;
  const wrong = (what: string) => new IdatError('backbone.config', `${configPath}: ${what}`);
  if (!kinds.includes(model_type)) {
    const known = `the tensors of ${path} are named as those of ${kinds.join(' or ')}`;
    throw wrong(`model_type is '${printable(model_type)}', ${known}; put the file there that belongs to the weights`);
  }
  const activation = hidden_act === undefined ? undefined : activationByName(hidden_act);
  if (hidden_act !== undefined && !activations.some((known) => known === activation)) {
    const what = `hidden_act is '${printable(hidden_act)}'; idat computes ${activations.join(', ')} here`;
    throw wrong(`${what}, choose another model`);
  }
  if (use_absolute_embeddings)
    throw wrong('use_absolute_embeddings is true; idat computes Swins without, choose another');
  return { ...config, activation };
}

/** Which configurations of transformers fit a naming. */
export interface Usable {
  /** Values of model_type. */
  readonly kinds: readonly string[];
  readonly activations: readonly Activation[];
}

/** What a configuration claims about sizes must be what the tensors have. @throws IdatError `backbone.config` */
export function checkClaims(
  { configPath, huggingFace }: Companions,
  found: Readonly<Record<string, number | boolean | readonly number[]>>,
): void {
  for (const [field, value] of Object.entries(found)) {
    const claimed = (huggingFace?.vision_config ?? huggingFace)?.[field];
    if (claimed === undefined || claimed === null || JSON.stringify(claimed) === JSON.stringify(value)) continue;
    const told = printable(JSON.stringify(claimed));
    throw new IdatError(
      'backbone.config',
      `${configPath}: ${field} is ${told}, the tensors have ${JSON.stringify(value)}; put the file there that belongs to the weights`,
    );
  }
}
