/** What a benchmark is of. */
import { z } from 'zod';
import { FineTuneConfig, parseConfig } from '../settings/config.js';
import { BUNDLED } from '../settings/fields.js';
import { checkFields } from '../settings/issues.js';
import { planOf, type RunPlan } from '../settings/plan.js';

const { shape } = FineTuneConfig;

/** The fields of a run that decide its speed, and how to measure. */
export const BenchConfig = z.strictObject({
  student: z.string().optional().describe('backbone: a name or a .safetensors file (default: the bundled pair)'),
  teacher: shape.teacher.describe('smaller backbone beside it: a name or a file'),
  ...FineTuneConfig.pick({
    method: true,
    teacherMethod: true,
    options: true,
    teacherOptions: true,
    adapter: true,
    teacherAdapter: true,
    blocks: true,
    teacherBlocks: true,
    hidden: true,
    scale: true,
    distill: true,
    imageSize: true,
    dropPath: true,
    batchSize: true,
    microBatch: true,
    frozen: true,
    disable: true,
    device: true,
    threads: true,
    replicas: true,
  }).shape,
  classes: z.int().min(2).max(100_000).default(10).describe('classes of the new heads'),
  readings: z.int().min(1).max(1000).default(5).describe('readings of each figure; medians are reported'),
});

export type BenchInput = z.input<typeof BenchConfig>;

export interface BenchSettings {
  /** As of a run, on no data. */
  readonly plan: RunPlan;
  readonly classes: number;
  readonly readings: number;
}

/** @throws IdatError `config.field` */
export function parseBenchConfig(input: BenchInput): BenchSettings {
  const { classes, readings, student, teacher, ...rest } = checkFields(BenchConfig, input);
  const models = student === undefined && teacher === null ? BUNDLED : { student: student ?? BUNDLED.student, teacher };
  return { plan: planOf(parseConfig({ ...rest, ...models, data: 'synthetic' })), classes, readings };
}
