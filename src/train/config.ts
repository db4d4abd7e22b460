/**
 * What a fine-tuning run is made of: one schema for the library, the command line and the run directory.
 */
import { z } from 'zod';
import { LOSSES } from '../distill/index.js';
import { IdatError, nearest } from '../errors.js';
import { PASS_NAMES } from '../graph/passes/index.js';
import { METHODS } from '../methods/index.js';
import { DEVICES } from '../runtime/runtime.js';
import { FROZEN_PRECISIONS } from './step.js';

export const PROTOCOLS = ['last', 'val', 'paper'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

const names = (list: readonly { readonly name: string }[]) => z.enum(list.map((item) => item.name));
const count = z.int().min(1);
const epochCount = z.int().min(0);
const factor = z.number().min(0);
const epsilon = z.number().positive().lt(1);

/** The fields with their meaning and defaults; the command line makes its flags from them. */
export const FineTuneConfig = z.strictObject({
  data: z.string().describe('data set: a folder or .zip of images'),
  student: z
    .string()
    .describe(
      'backbone to fine-tune: a name (idat models lists them), a .safetensors or .npz file, or a folder with one',
    ),
  teacher: z.string().nullable().default(null).describe('smaller backbone that teaches it: a name or a file'),
  variant: z.string().optional().describe('the paper’s name for adapter and loss together, such as iDAT-PS-mse'),
  adapter: names(METHODS).default('parallel-shared').describe('tuning method of the student'),
  teacherAdapter: names(METHODS).optional().describe('tuning method of the teacher (default: the student’s)'),
  hidden: z.int().min(1).max(65_536).default(4).describe('hidden dimension of each adapter'),
  scale: z.number().default(0.1).describe('factor on the adapter’s output'),
  distill: names(LOSSES).default('mse').describe('distillation loss'),
  temperature: z.number().positive().default(5).describe('softens the logits of kl'),
  alpha: factor.default(1).describe('weight of the teacher’s cross-entropy'),
  beta: factor.default(1).describe('weight of the distillation loss'),
  distillGradient: z.enum(['both', 'student']).default('both').describe('which models the distillation loss trains'),
  imageSize: count
    .optional()
    .describe('side of the input in pixels (default: the checkpoint’s); positions are resized'),
  studentLayerNormEps: epsilon.optional().describe('epsilon of the student’s norms (default: the checkpoint’s)'),
  teacherLayerNormEps: epsilon.optional().describe('epsilon of the teacher’s norms (default: the checkpoint’s)'),
  epochs: count.default(100).describe('length of the cosine schedule, warm-up included'),
  warmupEpochs: epochCount.optional().describe('epochs of warm-up (default: a tenth of the epochs, 10 at most)'),
  cooldownEpochs: epochCount.optional().describe('epochs after the cosine (default: as many as of warm-up)'),
  lr: factor.default(5e-3).describe('peak learning rate'),
  warmupLr: factor.default(1e-7).describe('learning rate the warm-up starts from'),
  minLr: factor.default(1e-8).describe('learning rate the cosine ends at'),
  weightDecay: factor.default(5e-5).describe('AdamW’s weight decay'),
  dropPath: z.number().min(0).lt(1).default(0).describe('drop-path rate of the last block'),
  batchSize: count.default(32).describe('images for each update'),
  microBatch: z
    .union([z.literal('auto'), count])
    .default('auto')
    .describe('images for each call of the runtime; auto: measured; does not change the mathematics'),
  frozen: z
    .enum(FROZEN_PRECISIONS)
    .default('float32')
    .describe('precision of products with frozen weights; int8 is faster and rounds, forward only or backward too'),
  disable: z.array(z.enum(PASS_NAMES)).default([]).describe('rewriting passes to leave out'),
  seed: z.int().default(42).describe('decides splits, starting values, order and drop path'),
  protocol: z
    .enum(PROTOCOLS)
    .default('last')
    .describe('which epoch is reported: the last, the best on val, or the best on test as in the paper'),
  device: z.enum(DEVICES).default('auto').describe('where to compute'),
  threads: count.optional().describe('threads for one operation (default: measured; one for each core, or 1)'),
  orient: z.boolean().default(true).describe('turn photographs as their EXIF tag says'),
  strict: z.boolean().default(false).describe('stop at an unreadable image instead of leaving it out'),
  cacheDir: z.string().optional().describe('folder for decoded images and what the frozen part computes for them'),
  prefixMemory: z
    .number()
    .min(0)
    .default(128)
    .describe('MiB of memory for what the frozen part computes for each image; more goes to the disk'),
  offline: z.boolean().default(false).describe('never fetch weights that are not on this disk'),
  out: z.string().optional().describe('run directory (default: runs/<data>-<variant>-<n>)'),
});

export type FineTuneInput = z.input<typeof FineTuneConfig>;
export type FineTuneSettings = Omit<z.output<typeof FineTuneConfig>, 'variant'> & {
  teacherAdapter: string;
  warmupEpochs: number;
  cooldownEpochs: number;
};

/**
 * Checks the input and fills in the defaults.
 * @throws IdatError `config.field`: which field, what was expected, what came
 */
export function parseConfig(input: FineTuneInput): FineTuneSettings {
  const parsed = FineTuneConfig.safeParse(input, { reportInput: true });
  if (!parsed.success)
    throw new IdatError(
      'config.field',
      parsed.error.issues.map((issue) => explainIssue(issue, FineTuneConfig)).join('\n'),
    );
  const { variant, ...config } = parsed.data;
  const named: { adapter?: string; distill?: string } = variant === undefined ? {} : parseVariant(variant);
  if (variant !== undefined && config.teacher === null) {
    throw new IdatError('config.field', `teacher: ${variant} distils from a teacher, expected the name or file of one`);
  }
  const adapter = input.adapter ?? named.adapter ?? config.adapter;
  const warmupEpochs = config.warmupEpochs ?? Math.min(10, Math.floor(config.epochs / 10));
  const cooldownEpochs = config.cooldownEpochs ?? Math.min(10, Math.floor(config.epochs / 10));
  return {
    ...config,
    adapter,
    teacherAdapter: config.teacherAdapter ?? adapter,
    distill: input.distill ?? named.distill ?? config.distill,
    warmupEpochs,
    cooldownEpochs,
  };
}

/** The paper's letters for where the adapter sits. */
const PLACES: Record<string, string> = { s: 'sequential', p: 'parallel', ps: 'parallel-shared' };

/**
 * `iDAT-PS-mse` and the like, in any case, taken apart.
 * @throws IdatError `config.field`
 */
export function parseVariant(name: string): { adapter: string; distill: string } {
  const [, place, distill] = /^idat-(s|p|ps)-([a-z]+)$/i.exec(name.toLowerCase()) ?? [];
  if (place === undefined || !LOSSES.some((loss) => loss.name === distill)) {
    const losses = LOSSES.map((loss) => loss.name).join(', ');
    throw new IdatError(
      'config.field',
      `variant: expected iDAT-{S, P, PS}-{${losses}} such as iDAT-PS-mse, got '${name}'`,
    );
  }
  return { adapter: PLACES[place]!, distill: distill! };
}

/** The paper's name where there is one: `iDAT-PS-mse`, and otherwise the tuning method's. */
export function variantName({ adapter, teacher, distill }: FineTuneSettings): string {
  const place = Object.keys(PLACES).find((key) => PLACES[key] === adapter);
  if (teacher === null) return adapter;
  return place === undefined ? `${adapter}-${distill}` : `iDAT-${place.toUpperCase()}-${distill}`;
}

/** What is wrong with a field, in a sentence: `epochs: expected …, got …`. */
export function explainIssue(issue: z.core.$ZodIssue, schema: z.ZodObject): string {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schema.shape);
    return issue.keys
      .map((key) => `${key}: no such setting; did you mean ${nearest(key, known, 2).join(' or ')}?`)
      .join('\n');
  }
  const got = issue.input === undefined ? 'nothing' : JSON.stringify(issue.input);
  return `${issue.path.join('.')}: ${issue.message.replace(/^Invalid (input|option): /, '')}, got ${got}`;
}
