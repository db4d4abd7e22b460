/**
 * The settings of a run: one record a field, which says its type, its meaning, its default and what it changes.
 *
 * All else that knows settings reads these: the schema (config.ts), the command line's flags, docs/settings.md, the model
 * card, the benchmark, and the comparison of runs.
 */
import { z } from 'zod';
import { TEACHER_VIEWS } from '../data/augment.js';
import { BALANCES } from '../data/balance.js';
import { LOSSES, WEIGHT_SHAPES } from '../distill/index.js';
import { PASS_NAMES } from '../graph/passes/index.js';
import { DEVICES } from '../runtime/runtime.js';
import { FROZEN_PRECISIONS } from '../step/compile.js';
import { FEATURE_TOKENS, GRADIENT_FLOWS } from '../step/distillation.js';
import { HEAD_STARTS } from '../step/model.js';
import { PROTOCOL_NAMES } from './protocols.js';

/** What another value of a field changes: the numbers that come out, how fast they come (and their last bits), or neither. */
export type Changes = 'result' | 'speed' | 'nothing';

/** The headings under which fields stand in help and docs, in this order. */
export const GROUPS = [
  'models',
  'tuning method',
  'distillation',
  'schedule',
  'optimiser',
  'augmentation',
  'batches',
  'measuring',
  'machine',
  'data',
  'files',
] as const;
export type Group = (typeof GROUPS)[number];

export interface Field<Schema extends z.ZodType = z.ZodType> {
  /** Type and default. */
  readonly schema: Schema;
  /** What it means, in half a sentence. */
  readonly says: string;
  readonly changes: Changes;
  readonly group: Group;
  /** Only means something where a teacher teaches. */
  readonly taught?: true;
  /** Stands for other fields, in which it ends up. */
  readonly shorthand?: true;
  /** What is looked for first: stands before all others, whatever its group. */
  readonly common?: true;
  /** What a text is, in a word: `folder`. */
  readonly value?: string;
}

/** Of the splits that idat makes where nobody says otherwise: runs of whatever seed share their test images. */
export const SPLIT_SEED = 42;

/** The bundled models: what is taken when nothing is asked for. */
export const BUNDLED = { student: 'vit_micro_patch4_32.cifar10', teacher: 'vit_nano_patch4_32.cifar10' } as const;

export const PRESET_METHOD = 'parallel-shared';

const count = z.int().min(1);
const epochCount = z.int().min(0);
const factor = z.number().min(0);
const share = z.number().min(0).lt(1);
/** Sizes of images that are no squares. */
const Oblong = z
  .string()
  .regex(/^[1-9]\d{0,3}x[1-9]\d{0,3}$/, 'expected a side in pixels, or height and width such as 160x224')
  .meta({ title: 'HEIGHTxWIDTH' });
/** Whole pixels, or below 1 a share of a side. */
const DISTANCE = { error: 'expected whole pixels, a share of the side below 1, or auto' };
const Distance = z.union(
  [
    z.literal('auto'),
    z
      .number()
      .min(0, DISTANCE)
      .refine((value) => value < 1 || Number.isInteger(value), DISTANCE),
  ],
  DISTANCE,
);
const epsilon = z.number().positive().lt(1);
const methodOptions = z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])).optional();
const lossNames = LOSSES.map(({ name }) => name).join(', ');

/** The sizes of a ViT that starts from random weights. */
export const ScratchConfig = z.strictObject({
  width: count.max(8192).default(128).describe('numbers that a token is made of'),
  depth: count.max(256).default(6).describe('blocks'),
  heads: count.default(4).describe('attention heads'),
  mlpWidth: count.optional().describe('hidden numbers of each MLP (default: four times the width)'),
  patchSize: count.default(4).describe('side of a patch in pixels'),
  imageSize: count.max(4096).default(32).describe('side of the input in pixels'),
});

export type Scratch = z.output<typeof ScratchConfig>;

const field = <Schema extends z.ZodType>(
  group: Group,
  changes: Changes,
  schema: Schema,
  says: string,
  more: Omit<Field, 'schema' | 'says' | 'changes' | 'group'> = {},
): Field<Schema> => ({ schema, says, changes, group, ...more });

const taught = { taught: true } as const;
const shorthand = { shorthand: true } as const;
const common = { common: true } as const;

export const FIELDS = {
  data: field('data', 'result', z.string(), 'data set: a folder or .zip of images', { value: 'path' }),
  orient: field('data', 'result', z.boolean().default(true), 'turn photographs as their EXIF tag says'),
  strict: field('data', 'nothing', z.boolean().default(false), 'stop at an unreadable image instead of leaving it out'),
  splitSeed: field(
    'data',
    'result',
    z.int().optional(),
    'decides the splits that idat makes (default: 42, so that runs of other seeds share their test images)',
  ),
  student: field(
    'models',
    'result',
    z.string().default(BUNDLED.student),
    'backbone to fine-tune: a name (idat models lists them), a checkpoint, or a folder with one',
    { ...common, value: 'backbone' },
  ),
  scratch: field('models', 'result', ScratchConfig.optional(), 'sizes of a student that starts from random weights'),
  teacher: field(
    'models',
    'result',
    z.string().nullable().default(null),
    'smaller backbone that teaches it: a name or a file, or self:6 for the first six blocks of the student’s own',
    { ...common, value: 'backbone' },
  ),
  imageSize: field(
    'models',
    'result',
    z.union([count.max(4096), Oblong]).optional(),
    'side of the input in pixels, or height and width, such as 160x224 (default: the checkpoint’s); positions are resized',
    common,
  ),
  studentLayerNormEps: field(
    'models',
    'result',
    epsilon.optional(),
    'epsilon of the student’s norms (default: the checkpoint’s)',
  ),
  teacherLayerNormEps: field(
    'models',
    'result',
    epsilon.optional(),
    'epsilon of the teacher’s norms (default: the checkpoint’s)',
    taught,
  ),
  variant: field(
    'tuning method',
    'result',
    z.string().optional(),
    'the paper’s name for adapter and loss together, such as iDAT-PS-mse',
    { ...shorthand, value: 'name' },
  ),
  method: field(
    'tuning method',
    'result',
    z.string().default(PRESET_METHOD),
    'how the student is tuned: a name (idat methods lists them) or the file of a method of your own',
    { ...common, value: 'method' },
  ),
  teacherMethod: field(
    'tuning method',
    'result',
    z.string().optional(),
    'tuning method of the teacher (default: the student’s)',
    { ...taught, value: 'method' },
  ),
  options: field(
    'tuning method',
    'result',
    methodOptions,
    'options of the method, such as rank=8 dropout=0; idat methods NAME lists them',
  ),
  teacherOptions: field(
    'tuning method',
    'result',
    methodOptions,
    'options of the teacher’s method (default: the student’s if both have one)',
    taught,
  ),
  adapter: field('tuning method', 'result', z.string().optional(), 'another name of method', {
    ...shorthand,
    value: 'method',
  }),
  teacherAdapter: field('tuning method', 'result', z.string().optional(), 'another name of teacher-method', {
    ...shorthand,
    value: 'method',
  }),
  hidden: field(
    'tuning method',
    'result',
    z.int().optional(),
    'the option of that name, of both models’ methods where they have it',
    shorthand,
  ),
  scale: field(
    'tuning method',
    'result',
    z.number().optional(),
    'the option of that name, of both models’ methods where they have it',
    shorthand,
  ),
  blocks: field(
    'tuning method',
    'result',
    z.string().default('all'),
    'blocks that the method works in: all, last:4, first:4 or a list such as 1,3,5-8; those before the first run once for each image',
    { value: 'blocks' },
  ),
  teacherBlocks: field(
    'tuning method',
    'result',
    z.string().optional(),
    'the same of the teacher (default: the student’s, of last:4 and first:4 as many as it has)',
    { ...taught, value: 'blocks' },
  ),
  head: field(
    'tuning method',
    'result',
    z.enum(HEAD_STARTS).default('default'),
    'starting values of the head: N(0, 0.02²), those published with the method, or what fits the training images’ features before training: the classes’ means, or ridge regression',
  ),
  distill: field(
    'distillation',
    'result',
    z.string().default('mse'),
    `distillation loss, or the file of one of your own; idat’s: ${lossNames}`,
    { ...taught, value: 'loss' },
  ),
  temperature: field(
    'distillation',
    'result',
    z.number().positive().default(5),
    'softens the logits of kl and kl-standardised',
    taught,
  ),
  squaredTemperature: field(
    'distillation',
    'result',
    z.boolean().default(false),
    'multiply kl and kl-standardised by the temperature squared',
    taught,
  ),
  alpha: field('distillation', 'result', factor.default(1), 'weight of the teacher’s cross-entropy', taught),
  beta: field(
    'distillation',
    'result',
    factor.default(1),
    'weight of the distillation loss, in the first epoch where it changes',
    taught,
  ),
  betaEnd: field(
    'distillation',
    'result',
    factor.optional(),
    'weight of the distillation loss in the last epoch (default: as in the first)',
    taught,
  ),
  betaShape: field(
    'distillation',
    'result',
    z.enum(WEIGHT_SHAPES).default('linear'),
    'how that weight goes from the first epoch to the last',
    taught,
  ),
  teacherWarmupEpochs: field(
    'distillation',
    'result',
    epochCount.default(0),
    'first epochs without distillation, in which both models learn by themselves; what beta says of the first epoch is of the one after',
    taught,
  ),
  distillGradient: field(
    'distillation',
    'result',
    z.enum(GRADIENT_FLOWS).default('both'),
    'which models the distillation loss trains',
    taught,
  ),
  teacherView: field(
    'distillation',
    'result',
    z.enum(TEACHER_VIEWS).default('same'),
    'how the teacher sees each training image: as the student does, or that mirrored',
    taught,
  ),
  featureLayers: field(
    'distillation',
    'result',
    z.array(count).optional(),
    'blocks of the teacher that distillation of features compares, from 1 (default: all)',
    taught,
  ),
  featureTokens: field(
    'distillation',
    'result',
    z.enum(FEATURE_TOKENS).default('all'),
    'tokens that distillation of features compares',
    taught,
  ),
  epochs: field('schedule', 'result', count.default(100), 'length of the cosine schedule, warm-up included', common),
  warmupEpochs: field(
    'schedule',
    'result',
    epochCount.optional(),
    'epochs of warm-up (default: a tenth of the epochs, 10 at most)',
  ),
  cooldownEpochs: field(
    'schedule',
    'result',
    epochCount.optional(),
    'epochs after the cosine (default: a tenth of the epochs, 10 at most)',
  ),
  lr: field('schedule', 'result', factor.default(5e-3), 'peak learning rate', common),
  warmupLr: field('schedule', 'result', factor.default(1e-7), 'learning rate the warm-up starts from'),
  minLr: field('schedule', 'result', factor.default(1e-8), 'learning rate the cosine ends at'),
  lrPerStep: field(
    'schedule',
    'result',
    z.boolean().default(false),
    'follow the schedule from step to step instead of from epoch to epoch',
  ),
  patience: field(
    'schedule',
    'result',
    epochCount.default(0),
    'with protocol val: epochs without a better accuracy on val, those of the warm-up not counted, after which the search for the best epoch ends (0: never)',
  ),
  averageEpochs: field(
    'schedule',
    'result',
    count.default(1),
    'last epochs whose student is averaged: what is kept is the mean of its parameters after each of them (1: the last one’s)',
  ),
  weightDecay: field('optimiser', 'result', factor.default(5e-5), 'AdamW’s weight decay'),
  clipNorm: field(
    'optimiser',
    'result',
    z.number().positive().optional(),
    'norm that each model’s gradient is shortened to (default: no limit)',
  ),
  labelSmoothing: field('optimiser', 'result', share.default(0), 'share of each label that is spread over all classes'),
  dropPath: field('optimiser', 'result', share.default(0), 'drop-path rate of the last block'),
  flip: field('augmentation', 'result', z.boolean().default(false), 'mirror training images at random', common),
  cropPadding: field(
    'augmentation',
    'result',
    Distance.default(0),
    'how far training images are moved at random, at most: pixels, or below 1 a share of each side; auto: an eighth, unless classes seem to depend on where things are',
  ),
  trivialAugment: field(
    'augmentation',
    'result',
    z.boolean().default(false),
    'give each training image one of fourteen changes of colour or shape at random',
  ),
  dropTokens: field(
    'augmentation',
    'result',
    share.default(0),
    'share of the patches that each training image goes without',
  ),
  fullTokenEpochs: field(
    'augmentation',
    'result',
    epochCount.default(0),
    'last epochs in which no patches are left out',
  ),
  batchSize: field('batches', 'result', count.default(32), 'images for each update', common),
  microBatch: field(
    'batches',
    'speed',
    z.union([z.literal('auto'), count], { error: 'expected a whole number from 1, or auto' }).default('auto'),
    'images for each call of the runtime; auto: measured; does not change the mathematics',
  ),
  balance: field(
    'batches',
    'result',
    z.enum(BALANCES).default('none'),
    'makes classes of unequally many training images count alike: by how often each is drawn, or by its weight in every loss',
  ),
  seed: field(
    'batches',
    'result',
    z.int().default(42),
    'decides starting values, order and all else that is drawn',
    common,
  ),
  protocol: field(
    'measuring',
    'result',
    z.enum(PROTOCOL_NAMES).default('last'),
    'which epoch is reported: the last, the best on val, or the best on test as in the paper',
  ),
  evalEvery: field(
    'measuring',
    'nothing',
    epochCount.default(0),
    'epochs between looks at the test images that decide nothing (0: none)',
  ),
  device: field('machine', 'speed', z.enum(DEVICES).default('auto'), 'where to compute'),
  threads: field(
    'machine',
    'speed',
    count.optional(),
    'threads for one operation (default: measured; one for each core, or 1)',
  ),
  replicas: field(
    'machine',
    'speed',
    count.optional(),
    'calls that are worked on at the same time, each on its own threads (default: measured, 1 where threads are given)',
  ),
  frozen: field(
    'machine',
    'result',
    z.enum(FROZEN_PRECISIONS).default('float32'),
    'precision of products with frozen weights; int8 is faster and rounds, forward only or backward too',
  ),
  disable: field('machine', 'speed', z.array(z.enum(PASS_NAMES)).default([]), 'rewriting passes to leave out'),
  prefixMemory: field(
    'machine',
    'speed',
    z.number().min(0).default(128),
    'MiB of memory for what the frozen part computes for each image; more goes to the disk',
  ),
  cacheDir: field(
    'files',
    'speed',
    z.string().optional(),
    'folder for decoded images and what the frozen part computes for them',
    { value: 'folder' },
  ),
  offline: field('files', 'nothing', z.boolean().default(false), 'never fetch weights that are not on this disk'),
  tensorboard: field(
    'files',
    'nothing',
    z.boolean().default(false),
    'write the curves into the run’s folder tensorboard as it trains, as event files',
  ),
  out: field('files', 'nothing', z.string().optional(), 'run directory (default: runs/<data>-<variant>-<n>)', {
    ...common,
    value: 'folder',
  }),
} satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

/** The records by name, whatever their schemas. */
export const fieldRecords = (): [name: FieldName, field: Field][] => Object.entries(FIELDS) as [FieldName, Field][];

type Schemas = { [Name in FieldName]: (typeof FIELDS)[Name]['schema'] };

/** The schemas with their meaning, as an object's shape. */
export const SHAPE = Object.fromEntries(
  fieldRecords().map(([name, { schema, says }]) => [name, schema.describe(says)]),
) as unknown as Schemas;

/** As it is called in words and on the command line: `lrPerStep` is `lr-per-step`. */
export const flagOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
