/**
 * What a run leaves behind, as data: config.json, result.json and the lines of its logs. Files come from strangers and may
 * have been edited by hand, so each has its schema here.
 */
import { z } from 'zod';
import { INT8_LARGEST, INT8_LARGEST_ANYWHERE } from '../graph/passes/quantise-frozen.js';
import { FAMILIARITY_SHARES } from '../statistics/energy.js';
import { canonical, type FineTuneSettings, resolveConfig, resultSettings } from './config.js';
import { PROTOCOL_NAMES } from './protocols.js';
import { selfDepth } from './self-teacher.js';

const count = z.int().min(0);
const positive = z.int().min(1);
const share = z.number().min(0).max(1);

const BackboneRecord = z.object({
  name: z.string(),
  path: z.string(),
  sha256: z.string(),
  config: z.record(z.string(), z.unknown()),
  mean: z.array(z.number()),
  std: z.array(z.number()),
});
/** Which backbone a run began with. */
export type BackboneRecord = z.output<typeof BackboneRecord>;

/** No machine has more cores, and threads are started before anybody could complain. */
export const MAX_THREADS = 1024;
const quantiles = z.array(z.number()).length(FAMILIARITY_SHARES.length);
const threads = positive.max(MAX_THREADS);

const Resolved = z.object({
  device: z.enum(['cpu', 'cuda', 'webgpu']),
  /** For the step and what belongs to it. */
  threads,
  microBatch: positive,
  /** Calls at a time, which change no number. Missing in runs of versions that had one. */
  replicas: threads.optional(),
  /** Of the sittings before, where a run went on otherwise: its numbers are no longer an undisturbed run's. */
  earlier: z.array(z.object({ threads, microBatch: positive })).optional(),
  /**
   * For frozen prefixes: the step behind them may be so small that one thread is best, which they are not. Missing in runs
   * of versions without frozen prefixes.
   */
  prefixThreads: threads.optional(),
  /**
   * What the largest number of each column of an 8-bit weight became: all of a byte, or half of it where the processor's
   * products of larger ones overflow. Missing in float32, and in runs of versions that refused such processors.
   */
  int8Largest: z.union([z.literal(INT8_LARGEST), z.literal(INT8_LARGEST_ANYWHERE)]).optional(),
  /** How far training images are moved, where that was left to what the data are like. */
  cropPadding: z.number().min(0).lt(1).optional(),
  why: z.string().optional(),
});
/** What `auto` and the defaults came to; a resumed run keeps to it. */
export type Resolved = z.output<typeof Resolved>;

/** config.json, but for the settings, which have a schema of their own and rules besides. */
export const RunRecordSchema = z.object({
  format: z.literal('idat-run-1'),
  versions: z.object({ idat: z.string(), onnxruntime: z.string(), node: z.string() }),
  settings: z.record(z.string(), z.unknown()),
  resolved: Resolved,
  data: z.object({
    source: z.string(),
    kind: z.string(),
    note: z.string(),
    fingerprints: z.record(z.string(), z.string()),
  }),
  classes: positive,
  student: BackboneRecord,
  teacher: BackboneRecord.nullable(),
});

/** config.json: all that is needed to repeat the run. */
export type RunRecord = Omit<z.output<typeof RunRecordSchema>, 'settings'> & { settings: FineTuneSettings };

/** The settings that a run has stored. @throws IdatError `config.field` */
export const storedSettings = (settings: Record<string, unknown>): FineTuneSettings =>
  resolveConfig(settings as Parameters<typeof resolveConfig>[0]);

/** What a state or a result is of, to be held against the run it lies beside; no paths, as runs move. */
export const RunFactsSchema = z.object({
  /** Those that change results. */
  settings: z.record(z.string(), z.unknown()),
  /** Fingerprint of each split. */
  data: z.record(z.string(), z.string()),
  /** sha256 of each backbone. */
  weights: z.record(z.string(), z.string()),
});
export type RunFacts = z.output<typeof RunFactsSchema>;

export function factsOf({ settings, data, student, teacher }: RunRecord): RunFacts {
  const { data: _data, student: _student, teacher: taughtBy, ...others } = resultSettings(settings);
  // names of files are none of it, but the student's first blocks are so many wherever it lies
  const deciding = { ...others, ...(selfDepth(settings.teacher) !== null && { teacher: taughtBy }) };
  const weights = { student: student.sha256, ...(teacher && { teacher: teacher.sha256 }) };
  // as JSON gives it back: a setting that is not set is none
  return JSON.parse(JSON.stringify({ settings: deciding, data: data.fingerprints, weights })) as RunFacts;
}

/**
 * The first thing in which a run contradicts what a state or result beside it is of; null where none does. What only one of
 * them names counts for nothing: versions of idat know more or fewer settings.
 */
export function contradictionTo(facts: RunFacts, record: RunRecord): string | null {
  const now = factsOf(record);
  for (const part of ['settings', 'data', 'weights'] as const) {
    for (const [name, before] of Object.entries(facts[part])) {
      if (!(name in now[part]) || canonical(now[part][name]) === canonical(before)) continue;
      if (part === 'settings') return `${name} ${canonical(before)}, the run has ${canonical(now.settings[name])}`;
      return part === 'data' ? `other images in ${name}` : `other weights of the ${name}`;
    }
  }
  return null;
}

const ClassCount = z.object({ correct: count, total: count });
/** Of one class, how many images were measured and how many of them were right. */
export type ClassCount = z.output<typeof ClassCount>;

export const RunResultSchema = z.object({
  /** Top-1 of the student on the test split. */
  accuracy: share,
  correct: count,
  total: positive,
  /** Test images that could not be read, and are not among the total; missing where all could. */
  leftOut: count.optional(),
  /** The same for each class, in the order of classes.json; missing in runs of versions that did not count so. */
  byClass: z.array(ClassCount).optional(),
  protocol: z.enum(PROTOCOL_NAMES),
  /** The epoch, counted from 0, whose parameters were kept. */
  selectedEpoch: count,
  /** Numbers trained in each model, heads included, and in one head alone. */
  trainableParameters: z.object({ student: count, teacher: count.nullable(), head: count }),
  /** Spent in training, over all sittings. */
  seconds: z.number().min(0),
  /**
   * How familiar the validation images were before the last training saw them or, where the protocol sets none aside, some
   * of the images that were trained on; missing in runs of versions without it.
   */
  familiarities: z.object({ quantiles, trainedOn: z.boolean() }).optional(),
});
/** result.json holds besides what the result is of; runs of earlier versions do not. */
export const StoredResultSchema = RunResultSchema.extend({ of: RunFactsSchema.optional() });
/** What a run came to. */
export type RunResult = z.output<typeof RunResultSchema>;

/** `select` looks for the best epoch on val; `final` trains what is kept. */
const Phase = z.enum(['select', 'final']);
export type Phase = z.output<typeof Phase>;

export const EpochTimingSchema = z.object({ phase: Phase, epoch: count, seconds: z.number().min(0) });
/** A line of timings.jsonl */
export type EpochTiming = z.output<typeof EpochTimingSchema>;

const Losses = z.object({ student: z.number(), teacher: z.number(), distill: z.number(), total: z.number() });
/** Sums over images of one epoch, or their means. */
export type Losses = z.output<typeof Losses>;

export const EpochMetricsSchema = z.object({
  phase: Phase,
  epoch: count,
  lr: z.number(),
  loss: Losses,
  trainAccuracy: share,
  teacherTrainAccuracy: share.nullable(),
  /** Share of the training images for which both models named the same class; missing in runs of versions without it. */
  agreement: share.nullable().optional(),
  /** Top-1 on what the protocol looks at after each epoch; null where it looks at nothing. */
  valAccuracy: share.nullable(),
  testAccuracy: share.nullable(),
  /**
   * How familiar the validation images were, none of which was trained on (statistics/energy.ts); missing where there were
   * none, and in runs of versions without it.
   */
  valFamiliarities: quantiles.optional(),
});
/** A line of metrics.jsonl; the same for every undisturbed or resumed run, so it holds no times. */
export type EpochMetrics = z.output<typeof EpochMetricsSchema>;

/** Where a state stands: what state.safetensors has besides its tensors. */
export const ProgressSchema = z.object({
  phase: Phase,
  epoch: count,
  step: count,
  sums: z.object({ losses: Losses, correct: count, teacherCorrect: count, agreed: count.optional(), images: count }),
  metrics: z.array(EpochMetricsSchema),
  /** Updates made by each optimiser. */
  updates: count,
  /** Epochs of which the state has the mean of the student's parameters; missing where it has none. */
  averaged: positive.optional(),
});

/** classes.json */
export const ClassesSchema = z.array(z.string()).min(1);
