/** What pretraining is asked to do: the settings that mean something without a checkpoint, and the sizes of the model. */
import { z } from 'zod';
import { FineTuneConfig, type FineTuneInput } from './config.js';
import { ScratchConfig } from './fields.js';
import { checkFields } from './issues.js';

const { lr, weightDecay, batchSize, cooldownEpochs } = FineTuneConfig.shape;

/** The fields of a fine-tuning run that mean something without a checkpoint, and the sizes of the model. */
export const PretrainConfig = z.strictObject({
  ...ScratchConfig.shape,
  ...FineTuneConfig.pick({
    data: true,
    epochs: true,
    warmupEpochs: true,
    warmupLr: true,
    minLr: true,
    clipNorm: true,
    labelSmoothing: true,
    flip: true,
    cropPadding: true,
    trivialAugment: true,
    dropPath: true,
    dropTokens: true,
    fullTokenEpochs: true,
    microBatch: true,
    disable: true,
    averageEpochs: true,
    balance: true,
    seed: true,
    splitSeed: true,
    evalEvery: true,
    device: true,
    threads: true,
    replicas: true,
    orient: true,
    strict: true,
    cacheDir: true,
    tensorboard: true,
    out: true,
  }).shape,
  lr: lr.default(1.5e-3),
  weightDecay: weightDecay.default(0.05),
  batchSize: batchSize.default(250),
  cooldownEpochs: cooldownEpochs.unwrap().default(0).describe('epochs after the cosine'),
  name: z
    .string()
    .regex(/^[\w-]+(\.[\w-]+)?$/, 'expected a name such as vit_tiny_patch4_32.flowers')
    .optional()
    .describe('name of the model (default: from its sizes and the data set)'),
});

export type PretrainInput = z.input<typeof PretrainConfig>;

/**
 * Pretraining as what it is to the training loop: full fine-tuning of a student that has learnt nothing.
 * @throws IdatError `config.field`
 */
export function toFineTune(input: PretrainInput): FineTuneInput {
  const { width, depth, heads, mlpWidth, patchSize, imageSize, name, ...shared } = checkFields(PretrainConfig, input);
  const scratch = { width, depth, heads, mlpWidth, patchSize, imageSize };
  return {
    ...shared,
    student: name ?? defaultName(scratch, input.data),
    scratch,
    method: 'full',
    lrPerStep: true,
  };
}

/** timm's form, `architecture.tag`, the data set being the tag. */
function defaultName(sizes: Record<'width' | 'depth' | 'patchSize' | 'imageSize', number>, data: string): string {
  const { width, depth, patchSize, imageSize } = sizes;
  const tag = data
    .replace(/[\\/]+$/, '')
    .replace(/^.*[\\/]/, '')
    .replace(/\.zip$/i, '')
    .replace(/[^\w-]+/g, '_');
  return `vit_w${width}_d${depth}_patch${patchSize}_${imageSize}.${tag}`;
}
