/**
 * What a run needs before its first step: backbones, pixels, a runtime, the compiled programs.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import type { Backbone, ViTConfig } from '../backbones/backbone.js';
import { randomBackbone } from '../backbones/random-weights.js';
import { isModelPath } from '../backbones/registry.js';
import type { Dataset } from '../data/index.js';
import { lossByName } from '../distill/index.js';
import { IdatError } from '../errors.js';
import type { WeightSink } from '../graph/emit.js';
import { checkInt8 } from '../runtime/check-int8.js';
import { type Runtime, startRuntime } from '../runtime/runtime.js';
import { withWeightFile } from '../runtime/weight-file.js';
import { AdamW, decayRanges } from './adamw.js';
import { augments } from './augment.js';
import type { FineTuneSettings, Scratch } from './config.js';
import { type Classifier, loadClassifier, streamOf } from './evaluate.js';
import type { LoadedStep, Steps } from './fit.js';
import { autoMicroBatch } from './micro-batch.js';
import type { ModelSpec, Prefix, TrainableLayout } from './model.js';
import { openBackbone } from './open-backbone.js';
import { closePixels, openPixels, type Pixels, splitsOf } from './pixels.js';
import { loadPrefix } from './prefix-store.js';
import type { RunControl } from './progress.js';
import type { BackboneRecord, RunRecord, TunedModels } from './run-directory.js';
import type { LoadedPrefixes } from './splits.js';
import type { Role, TrainState } from './state.js';
import { buildPrefix, buildTrainStep, type TrainStep } from './step.js';

const ROLES = ['student', 'teacher'] as const;

/** The rest is as in every ViT of timm. */
export function scratchConfig({ mlpWidth, ...sizes }: Scratch): ViTConfig {
  const fixed = { family: 'vit' as const, channels: 3, qkvBias: true, layerNormEps: 1e-6 };
  return { ...fixed, ...sizes, mlpWidth: mlpWidth ?? 4 * sizes.width };
}

export interface Specs {
  student: ModelSpec;
  teacher: ModelSpec | null;
}

export interface Backbones {
  student: Backbone;
  teacher: Backbone | null;
}

/** What of the settings decides a model. */
export function modelSpec(settings: FineTuneSettings, role: Role, backbone: Backbone, classes: number): ModelSpec {
  const [method, methodOptions] =
    role === 'student' ? [settings.method, settings.options] : [settings.teacherMethod, settings.teacherOptions];
  const dropPath = method === 'linear' ? 0 : settings.dropPath; // nothing before the head is trained
  const { head, dropTokens } = settings;
  return { backbone, method, methodOptions, classes, dropPath, head, dropTokens };
}

export function modelSpecs(settings: FineTuneSettings, { student, teacher }: Backbones, classes: number): Specs {
  return {
    student: modelSpec(settings, 'student', student, classes),
    teacher: teacher && modelSpec(settings, 'teacher', teacher, classes),
  };
}

/** What of each model is run once for each image; null where there is nothing. */
export interface Prefixes {
  student: Prefix | null;
  teacher: Prefix | null;
}

/**
 * Images that are changed at random have nothing that is the same in every epoch; and where features are distilled, what
 * the first blocks hand on is compared, so that nothing lies apart from training.
 */
export function prefixesOf({ student, teacher }: Specs, settings: FineTuneSettings): Prefixes {
  const { disable, distill } = settings;
  const comparesBlocks = teacher !== null && lossByName(distill).reads === 'features';
  if (augments(settings) || comparesBlocks) return { student: null, teacher: null };
  return { student: buildPrefix(student, disable), teacher: teacher && buildPrefix(teacher, disable) };
}

export function microBatchOf(
  { microBatch, batchSize }: FineTuneSettings,
  specs: Specs,
  prefixes: Prefixes,
  images: number,
): number {
  const batch = Math.min(batchSize, images);
  if (microBatch !== 'auto') return Math.min(microBatch, batch);
  const streams = ROLES.map((role) => {
    const spec = specs[role];
    return spec ? streamOf(spec, prefixes[role]) : 0;
  });
  return autoMicroBatch(batch, Math.max(...streams));
}

/** So that the run can be resumed from anywhere; names of models stay names. */
export function withAbsolutePaths(settings: FineTuneSettings): FineTuneSettings {
  const model = (name: string) => (isModelPath(name) ? resolve(name) : name);
  return {
    ...settings,
    data: resolve(settings.data),
    student: model(settings.student),
    teacher: settings.teacher && model(settings.teacher),
    ...(settings.cacheDir !== undefined && { cacheDir: resolve(settings.cacheDir) }),
    ...(settings.out !== undefined && { out: resolve(settings.out) }),
  };
}

export async function openBackbones(settings: FineTuneSettings, control: RunControl): Promise<Backbones> {
  return {
    student: await openStudent(settings, control),
    teacher: settings.teacher === null ? null : await openBackbone(settings, 'teacher', control),
  };
}

/** The checkpoint to be tuned, or random weights to begin with. */
export async function openStudent(settings: FineTuneSettings, control: RunControl): Promise<Backbone> {
  const { student, scratch, seed } = settings;
  if (!scratch) return openBackbone(settings, 'student', control);
  return randomBackbone(student, scratchConfig(scratch), seed, 'student');
}

export function backboneRecord({ name, path, sha256, config, mean, std }: Backbone): BackboneRecord {
  return { name, path, sha256, config: { ...config }, mean, std };
}

export async function versions(): Promise<RunRecord['versions']> {
  const versionIn = async (path: string | URL) =>
    (JSON.parse(await readFile(path, 'utf8')) as { version: string }).version;
  return {
    idat: await versionIn(new URL('../../package.json', import.meta.url)),
    onnxruntime: await versionIn(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')),
    node: process.versions.node,
  };
}

export async function withPixels<T>(
  dataset: Dataset,
  settings: FineTuneSettings,
  { student, teacher }: Backbones,
  control: RunControl,
  action: (pixels: Pixels) => Promise<T>,
): Promise<T> {
  try {
    const sizes = { student: student.config.imageSize, teacher: teacher?.config.imageSize ?? null };
    const pixels = await openPixels(dataset, splitsOf(settings.protocol), sizes, settings, control);
    try {
      return await action(pixels);
    } finally {
      await closePixels(pixels);
    }
  } catch (error) {
    if (!control.signal?.aborted || error instanceof IdatError) throw error;
    throw new IdatError('run.interrupted', 'stopped while reading the images; no training was lost', { cause: error });
  } finally {
    await dataset.close();
  }
}

export async function withRuntime<T>(
  { device, threads }: Pick<FineTuneSettings, 'device'> & { threads?: number | undefined },
  action: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await startRuntime({ device, ...(threads !== undefined && { threads }) });
  try {
    return await action(runtime);
  } finally {
    await runtime.close();
  }
}

/** The programs of a run, loaded. */
export interface Compiled {
  models: TunedModels;
  prefixes: LoadedPrefixes;
  steps: Steps;
  /** Loaded when it is first asked for: it holds the student's weights once more. */
  classifier(): Promise<Classifier>;
}

/** The step that the settings ask for. @param sink takes weights that compiling computes */
export function stepOf(
  settings: FineTuneSettings,
  { student, teacher }: Specs,
  prefixes: Prefixes,
  microBatch: number,
  sink?: WeightSink,
): TrainStep {
  const { distill: loss, alpha, betaEnd, distillGradient: gradient, labelSmoothing } = settings;
  const { temperature, squaredTemperature, featureLayers, featureTokens } = settings;
  const weights = { alpha, beta: betaEnd === undefined ? settings.beta : ('fed' as const) };
  const details = { temperature, squaredTemperature, featureLayers, featureTokens, gradient };
  const distillation = teacher && { loss, ...weights, ...details };
  const { disable, frozen } = settings;
  const losses = { distillation, labelSmoothing };
  return buildTrainStep({ student, teacher, ...losses, microBatch, prefixes, disable, frozen, sink });
}

export const tunedModels = ({ student, teacher }: Specs, step: TrainStep): TunedModels => ({
  student: { spec: student, layout: step.student },
  teacher: teacher && { spec: teacher, layout: step.teacher! },
});

export async function compile(
  runtime: Runtime,
  settings: FineTuneSettings,
  specs: Specs,
  prefixes: Prefixes,
  { microBatch, prefixThreads }: Pick<RunRecord['resolved'], 'microBatch' | 'prefixThreads'>,
): Promise<Compiled> {
  const { disable, frozen } = settings;
  const { student } = specs;
  // rounded as `idat eval` rounds it, a model gives the same accuracy there: all of it then, and no prefix in float32
  const evaluation = frozen === 'float32' ? evaluationPrefix(student, prefixes.student, disable) : null;
  let classifier: Promise<Classifier> | undefined;
  const load = () =>
    withWeightFile((sink) => loadClassifier(runtime, student, { prefix: evaluation, disable, frozen, sink }));
  if (frozen !== 'float32') await checkInt8(runtime);
  return withWeightFile(async (sink) => {
    const step = stepOf(settings, specs, prefixes, microBatch, sink);
    return {
      prefixes: await loadPrefixes(runtime.withThreads(prefixThreads ?? runtime.threads), specs, prefixes, evaluation),
      models: tunedModels(specs, step),
      steps: stepsOf({ session: await runtime.load(step.program), draws: step.draws }, settings, () =>
        loadWhole(runtime, settings, specs, prefixes, microBatch),
      ),
      classifier: () => {
        classifier ??= load();
        return classifier;
      },
    };
  });
}

/** The step for epochs in which no patches are left out. */
async function loadWhole(
  runtime: Runtime,
  settings: FineTuneSettings,
  { student, teacher }: Specs,
  prefixes: Prefixes,
  microBatch: number,
): Promise<LoadedStep> {
  const whole = { student: { ...student, dropTokens: 0 }, teacher: teacher && { ...teacher, dropTokens: 0 } };
  return withWeightFile(async (sink) => {
    const { program, draws } = stepOf(settings, whole, prefixes, microBatch, sink);
    return { session: await runtime.load(program), draws };
  });
}

function stepsOf(usual: LoadedStep, { dropTokens }: FineTuneSettings, load: () => Promise<LoadedStep>): Steps {
  let whole: Promise<LoadedStep> | undefined;
  return {
    usual,
    whole: () => {
      whole ??= dropTokens > 0 ? load() : Promise.resolve(usual);
      return whole;
    },
    close: async () => {
      await usual.session.close();
      if (whole && dropTokens > 0) await (await whole).session.close();
    },
  };
}

/** Evaluation drops nothing, which may leave another prefix than training has. */
function evaluationPrefix(student: ModelSpec, prefix: Prefix | null, disable: readonly string[]): Prefix | null {
  return prefix && buildPrefix(student, disable, false);
}

async function loadPrefixes(
  runtime: Runtime,
  specs: Specs,
  prefixes: Prefixes,
  evaluation: Prefix | null,
): Promise<LoadedPrefixes> {
  const { onnxruntime } = await versions();
  const load = async (role: Role) => prefixes[role] && loadPrefix(runtime, specs[role]!, prefixes[role], onnxruntime);
  const student = await load('student');
  return {
    student,
    teacher: await load('teacher'),
    evaluation: evaluation && (await loadPrefix(runtime, specs.student, evaluation, onnxruntime, student)),
  };
}

/** One optimiser a model, going on from the state. */
export function optimizersOf(
  { weightDecay, seed }: FineTuneSettings,
  layouts: Record<Role, TrainableLayout | null>,
  state: TrainState,
): Record<Role, AdamW | null> {
  const optimizer = (role: Role) => {
    const layout = layouts[role];
    if (!layout) return null;
    const options = { weightDecay, decayRanges: decayRanges(layout.slots), mask: layout.mask(seed, role) };
    return new AdamW(layout.size, options, state[role]!.adamw);
  };
  return { student: optimizer('student'), teacher: optimizer('teacher') };
}
