/**
 * What a fine-tuning run is made of: one schema for the library, the command line and the run directory.
 */
import { z } from 'zod';
import { LOSSES, lossByName, WEIGHT_SHAPES } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { PASS_NAMES } from '../graph/passes/index.js';
import { METHODS } from '../methods/index.js';
import { DEVICES } from '../runtime/runtime.js';
import { explainIssue } from './issues.js';
import { type MethodSettings, resolveMethods } from './method-settings.js';
import { HEAD_STARTS } from './model.js';
import { FEATURE_TOKENS, FROZEN_PRECISIONS, GRADIENT_FLOWS } from './step.js';

export const PROTOCOLS = ['last', 'val', 'paper'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

const names = (list: readonly { readonly name: string }[]) => z.enum(list.map((item) => item.name));
const count = z.int().min(1);
const epochCount = z.int().min(0);
const factor = z.number().min(0);
const share = z.number().min(0).lt(1);
const epsilon = z.number().positive().lt(1);

/** The sizes of a ViT that starts from random weights. */
export const ScratchConfig = z.strictObject({
  width: count.max(8192).default(128).describe('numbers a token'),
  depth: count.max(256).default(6).describe('blocks'),
  heads: count.default(4).describe('attention heads'),
  mlpWidth: count.optional().describe('hidden numbers of each MLP (default: four times the width)'),
  patchSize: count.default(4).describe('side of a patch in pixels'),
  imageSize: count.max(4096).default(32).describe('side of the input in pixels'),
});

export type Scratch = z.output<typeof ScratchConfig>;
const methodOptions = z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])).optional();
const methodNames = METHODS.map(({ name }) => name).join(', ');
const PRESET_METHOD = 'parallel-shared';

/** The fields with their meaning and defaults; the command line makes its flags from them. */
export const FineTuneConfig = z.strictObject({
  data: z.string().describe('data set: a folder or .zip of images'),
  student: z
    .string()
    .describe('backbone to fine-tune: a name (idat models lists them), a checkpoint, or a folder with one'),
  scratch: ScratchConfig.optional().describe('sizes of a student that starts from random weights'),
  teacher: z.string().nullable().default(null).describe('smaller backbone that teaches it: a name or a file'),
  variant: z.string().optional().describe('the paper’s name for adapter and loss together, such as iDAT-PS-mse'),
  method: z
    .string()
    .default(PRESET_METHOD)
    .describe(`tuning method of the student, or the file of one of your own; idat's: ${methodNames}`),
  teacherMethod: z.string().optional().describe('tuning method of the teacher (default: the student’s)'),
  options: methodOptions.describe('options of the method, such as rank=8 dropout=0; idat methods NAME lists them'),
  teacherOptions: methodOptions.describe('options of the teacher’s method (default: the student’s if both have one)'),
  adapter: z.string().optional().describe('the same as method'),
  teacherAdapter: z.string().optional().describe('the same as teacherMethod'),
  hidden: z.int().optional().describe('the option of that name, of both models’ methods where they have it'),
  scale: z.number().optional().describe('the option of that name, of both models’ methods where they have it'),
  head: z
    .enum(HEAD_STARTS)
    .default('default')
    .describe('starting values of the head: N(0, 0.02²), or those published with the method'),
  distill: names(LOSSES).default('mse').describe('distillation loss'),
  temperature: z.number().positive().default(5).describe('softens the logits of kl'),
  alpha: factor.default(1).describe('weight of the teacher’s cross-entropy'),
  beta: factor.default(1).describe('weight of the distillation loss, in the first epoch where it changes'),
  featureLayers: z
    .array(count)
    .optional()
    .describe('blocks of the teacher that distillation of features compares, from 1 (default: all)'),
  featureTokens: z.enum(FEATURE_TOKENS).default('all').describe('tokens that it compares'),
  betaEnd: factor.optional().describe('weight of the distillation loss in the last epoch (default: as in the first)'),
  betaShape: z.enum(WEIGHT_SHAPES).default('linear').describe('how it goes from the first to the last'),
  squaredTemperature: z.boolean().default(false).describe('multiply kl by the temperature squared'),
  distillGradient: z.enum(GRADIENT_FLOWS).default('both').describe('which models the distillation loss trains'),
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
  lrPerStep: z
    .boolean()
    .default(false)
    .describe('follow the schedule from step to step instead of from epoch to epoch'),
  weightDecay: factor.default(5e-5).describe('AdamW’s weight decay'),
  clipNorm: z
    .number()
    .positive()
    .optional()
    .describe('norm that each model’s gradient is shortened to (default: no limit)'),
  labelSmoothing: share.default(0).describe('share of each label that is spread over all classes'),
  flip: z.boolean().default(false).describe('mirror training images at random'),
  cropPadding: z.int().min(0).default(0).describe('pixels by which training images are moved at random, at most'),
  trivialAugment: z
    .boolean()
    .default(false)
    .describe('give each training image one of fourteen changes of colour or shape at random'),
  dropPath: share.default(0).describe('drop-path rate of the last block'),
  dropTokens: share.default(0).describe('share of the patches that each training image goes without'),
  fullTokenEpochs: epochCount.default(0).describe('last epochs in which no patches are left out'),
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
  seed: z.int().default(42).describe('decides splits, starting values, order and all else that is drawn'),
  protocol: z
    .enum(PROTOCOLS)
    .default('last')
    .describe('which epoch is reported: the last, the best on val, or the best on test as in the paper'),
  evalEvery: epochCount.default(0).describe('epochs between looks at the test images that decide nothing (0: none)'),
  device: z.enum(DEVICES).default('auto').describe('where to compute'),
  threads: count.optional().describe('threads for one operation (default: measured; one for each core, or 1)'),
  replicas: count
    .optional()
    .describe(
      'calls that are worked on at the same time, each on its own threads (default: measured, 1 with --threads)',
    ),
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
type Shorthand = 'variant' | 'adapter' | 'teacherAdapter' | 'hidden' | 'scale' | keyof MethodSettings;
export type FineTuneSettings = Omit<z.output<typeof FineTuneConfig>, Shorthand> &
  MethodSettings & { warmupEpochs: number; cooldownEpochs: number };

/**
 * Checks the input and fills in the defaults.
 * @throws IdatError `config.field`: which field, what was expected, what came
 */
export function parseConfig(input: FineTuneInput): FineTuneSettings {
  const { variant, method, teacherMethod, options, teacherOptions, adapter, teacherAdapter, hidden, scale, ...config } =
    checkFields(FineTuneConfig, input);
  if (config.scratch) checkSizes(config.scratch);
  const named: { method?: string; distill?: string } = variant === undefined ? {} : parseVariant(variant);
  if (variant !== undefined && config.teacher === null) {
    throw new IdatError('config.field', `teacher: ${variant} distils from a teacher, expected the name or file of one`);
  }
  const methods = resolveMethods({
    method: input.method ?? adapter ?? named.method ?? method,
    teacherMethod: teacherMethod ?? teacherAdapter,
    options,
    teacherOptions,
    hidden,
    scale,
  });
  // runs of before have both stored, whatever their method
  if (adapter === undefined) checkShared({ hidden, scale }, methods);
  const distill = input.distill ?? named.distill ?? config.distill;
  checkDistillation(config, distill);
  const warmupEpochs = config.warmupEpochs ?? Math.min(10, Math.floor(config.epochs / 10));
  const cooldownEpochs = config.cooldownEpochs ?? Math.min(10, Math.floor(config.epochs / 10));
  checkFullTokenEpochs(config, config.epochs + cooldownEpochs);
  return {
    ...config,
    ...methods,
    distill,
    warmupEpochs,
    cooldownEpochs,
  };
}

/**
 * The input with its defaults.
 * @throws IdatError `config.field`: which field, what was expected, what came
 */
export function checkFields<Schema extends z.ZodObject>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new IdatError(
    'config.field',
    parsed.error.issues.map((issue) => explainIssue(issue, Object.keys(schema.shape))).join('\n'),
  );
}

function checkSizes({ width, heads, patchSize, imageSize }: Scratch): void {
  const expected = (field: string, what: string, got: number) =>
    new IdatError('config.field', `${field}: expected ${what}, got ${got}`);
  if (width % heads !== 0) throw expected('heads', `a number that divides the width ${width}`, heads);
  if (imageSize % patchSize !== 0)
    throw expected('patchSize', `a number that divides the image size ${imageSize}`, patchSize);
}

function checkShared(
  shared: Record<string, number | undefined>,
  { method, teacherMethod, ...given }: MethodSettings,
): void {
  for (const [name, value] of Object.entries(shared)) {
    if (value === undefined || name in given.options || name in given.teacherOptions) continue;
    const methods = method === teacherMethod ? `${method} has` : `neither ${method} nor ${teacherMethod} has`;
    const what = method === teacherMethod ? `${methods} no such option` : `${methods} such an option`;
    throw new IdatError('config.field', `${name}: ${what}; idat methods ${method} lists those there are`);
  }
}

function checkDistillation({ squaredTemperature }: { squaredTemperature: boolean }, distill: string): void {
  if (!squaredTemperature || lossByName(distill).softens) return;
  const expected = `${distill} has no temperature, expected a loss that has, such as kl`;
  throw new IdatError('config.field', `squaredTemperature: ${expected}`);
}

function checkFullTokenEpochs(
  { dropTokens, fullTokenEpochs }: { dropTokens: number; fullTokenEpochs: number },
  epochs: number,
): void {
  if (dropTokens === 0 || fullTokenEpochs < epochs) return;
  const expected = `fewer than the ${epochs} epochs there are, or dropTokens 0`;
  throw new IdatError('config.field', `fullTokenEpochs: expected ${expected}, got ${fullTokenEpochs}`);
}

/** The paper's letters for where the adapter sits. */
const PLACES: Record<string, string> = { s: 'sequential', p: 'parallel', ps: 'parallel-shared' };

/**
 * `iDAT-PS-mse` and the like, in any case, taken apart.
 * @throws IdatError `config.field`
 */
export function parseVariant(name: string): { method: string; distill: string } {
  const [, place, distill] = /^idat-(s|p|ps)-([a-z]+)$/i.exec(name.toLowerCase()) ?? [];
  if (place === undefined || !LOSSES.some((loss) => loss.name === distill)) {
    const losses = LOSSES.map((loss) => loss.name).join(', ');
    throw new IdatError(
      'config.field',
      `variant: expected iDAT-{S, P, PS}-{${losses}} such as iDAT-PS-mse, got '${name}'`,
    );
  }
  return { method: PLACES[place]!, distill: distill! };
}

/** The paper's name where there is one: `iDAT-PS-mse`, and otherwise the tuning method's. */
export function variantName({ method, teacher, distill, scratch }: FineTuneSettings): string {
  if (scratch) return 'pretraining';
  const place = Object.keys(PLACES).find((key) => PLACES[key] === method);
  if (teacher === null) return method;
  return place === undefined ? `${method}-${distill}` : `iDAT-${place.toUpperCase()}-${distill}`;
}
