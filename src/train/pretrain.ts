/**
 * Pretraining: a ViT of any size from random weights, by the loop that fine-tunes.
 */
import { basename } from 'node:path';
import { z } from 'zod';
import { FineTuneConfig, type FineTuneInput, ScratchConfig } from './config.js';
import { type FineTuneResult, fineTune } from './fine-tune.js';
import type { RunControl } from './progress.js';

/** The fields of a fine-tuning run that mean something without a checkpoint, and the sizes of the model. */
export const PretrainConfig = FineTuneConfig.pick({
  data: true,
  epochs: true,
  warmupEpochs: true,
  cooldownEpochs: true,
  warmupLr: true,
  minLr: true,
  clipNorm: true,
  flip: true,
  cropPadding: true,
  dropPath: true,
  dropTokens: true,
  fullTokenEpochs: true,
  labelSmoothing: true,
  microBatch: true,
  disable: true,
  seed: true,
  evalEvery: true,
  device: true,
  threads: true,
  orient: true,
  strict: true,
  cacheDir: true,
  out: true,
}).extend({
  ...ScratchConfig.shape,
  name: z
    .string()
    .regex(/^[\w-]+(\.[\w-]+)?$/, 'expected a name such as vit_tiny_patch4_32.flowers')
    .optional()
    .describe('name of the model (default: from its sizes and the data set)'),
  lr: FineTuneConfig.shape.lr.default(1.5e-3),
  weightDecay: FineTuneConfig.shape.weightDecay.default(0.05),
  batchSize: FineTuneConfig.shape.batchSize.default(250),
});

export type PretrainInput = z.input<typeof PretrainConfig>;

/**
 * Trains a ViT from random weights on all training images of a data set and measures it on the test images. The run
 * directory is that of any run, so it resumes, evaluates and predicts alike; at its end there is `model.safetensors`.
 *
 * @throws IdatError as `fineTune`
 */
export function pretrain(input: PretrainInput, control: RunControl = {}): Promise<FineTuneResult> {
  return fineTune(toFineTune(input), control);
}

/** Pretraining as what it is to the training loop: full fine-tuning of a student that has learnt nothing. */
export function toFineTune(input: PretrainInput): FineTuneInput {
  const { width, depth, heads, mlpWidth, patchSize, imageSize, name, ...rest } = input;
  const given = Object.entries({ width, depth, heads, mlpWidth, patchSize, imageSize }).filter(([, v]) => v !== undefined);
  const scratch = ScratchConfig.parse(Object.fromEntries(given));
  const { lr = 1.5e-3, weightDecay = 0.05, batchSize = 250 } = input;
  return {
    ...rest,
    lr,
    weightDecay,
    batchSize,
    lrPerStep: true,
    cooldownEpochs: input.cooldownEpochs ?? 0,
    student: name ?? defaultName(scratch, input.data),
    scratch,
    adapter: 'full',
  };
}

function defaultName({ width, depth, patchSize, imageSize }: z.output<typeof ScratchConfig>, data: string): string {
  const tag = basename(data).replace(/\.zip$/i, '').replace(/[^\w-]+/g, '_');
  return `vit_w${width}_d${depth}_patch${patchSize}_${imageSize}.${tag}`;
}
