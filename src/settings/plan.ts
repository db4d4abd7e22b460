/**
 * The plan of a run: its settings, resolved once into what each part of the work needs. Whoever acts on settings takes a
 * part of this, and not the whole.
 */

import type { Augmentation } from '../data/augment.js';
import type { Balance } from '../data/balance.js';
import type { WeightSchedule } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { INT8_LARGEST, type Int8Largest } from '../graph/passes/quantise-frozen.js';
import { type ImageSize, parseImageSize } from '../image-size.js';
import { methodByName } from '../methods/index.js';
import type { Device } from '../runtime/runtime.js';
import type { FrozenPrecision } from '../step/compile.js';
import type { Distillation } from '../step/distillation.js';
import type { HeadStart } from '../step/model.js';
import type { Pair } from '../step/roles.js';
import { ALL_BLOCKS, type BlockChoice } from './blocks.js';
import { type FineTuneSettings, variantName } from './config.js';
import type { Scratch } from './fields.js';
import type { MethodOptions } from './method-settings.js';
import { PROTOCOLS, type Protocol } from './protocols.js';
import type { RunRecord } from './record.js';
import { selfDepth } from './self-teacher.js';

/** One model: a backbone and how it is tuned. */
export interface ModelPlan {
  /** The backbone's name, or the path of its file. */
  readonly name: string;
  /** Null: all of it; otherwise so many first blocks, of the student's backbone. */
  readonly firstBlocks: number | null;
  /** Sizes of one that starts from random weights. */
  readonly scratch: Scratch | null;
  /** Of the input where it is not the checkpoint's. */
  readonly imageSize: ImageSize | undefined;
  readonly layerNormEps: number | undefined;
  readonly method: string;
  readonly methodOptions: MethodOptions;
  /** In which the method works. */
  readonly blocks: BlockChoice;
  readonly head: HeadStart;
  readonly dropPath: number;
  readonly dropTokens: number;
}

/** What is minimised: the sum of Equations 4 and 5. */
export interface ObjectivePlan {
  readonly labelSmoothing: number;
  /** Null without a teacher. */
  readonly distillation: Distillation | null;
  /** Of the distillation's weight, where it changes over the epochs. */
  readonly weight: WeightSchedule | null;
}

export interface SchedulePlan {
  readonly lr: number;
  readonly epochs: number;
  readonly warmupEpochs: number;
  readonly warmupLr: number;
  readonly minLr: number;
  readonly cooldownEpochs: number;
  /** The rate changes from step to step, not from epoch to epoch. */
  readonly perStep: boolean;
}

export interface OptimiserPlan {
  readonly weightDecay: number;
  /** Null: gradients are as long as they are. */
  readonly clipNorm: number | null;
}

/** Patches left out of training images. */
export interface TokenPlan {
  /** Share of them. */
  readonly drop: number;
  /** Last epochs in which none are. */
  readonly fullEpochs: number;
}

export interface BatchPlan {
  /** Images for each update. */
  readonly size: number;
  /** Images for each call. */
  readonly microBatch: number | 'auto';
}

/** How programs are rewritten. */
export interface CompilePlan {
  readonly frozen: FrozenPrecision;
  /** Of the 8-bit weights of a run that has begun (`int8-range.ts` of train/); undefined in float32, or where it is yet to be found. */
  readonly int8Largest?: Int8Largest | undefined;
  /** Names of passes to leave out. */
  readonly disable: readonly string[];
}

/** Where they run; what is undefined is measured. */
export interface EnginePlan {
  readonly device: Device;
  readonly threads: number | undefined;
  readonly replicas: number | undefined;
}

export interface ImagePlan {
  /** Turned as their EXIF tag says. */
  readonly orient: boolean;
  /** One that cannot be read stops the run. */
  readonly strict: boolean;
}

export interface CachePlan {
  /** Null: nothing outlives the run. */
  readonly folder: string | null;
  /** Of memory, for what frozen prefixes compute. */
  readonly prefixBytes: number;
}

export interface RunPlan {
  /** `iDAT-PS-mse`, or the tuning method's name. */
  readonly variant: string;
  readonly seed: number;
  /** Of the splits that idat makes. */
  readonly splitSeed: number;
  readonly models: Pair<ModelPlan>;
  readonly objective: ObjectivePlan;
  readonly schedule: SchedulePlan;
  readonly optimiser: OptimiserPlan;
  readonly augmentation: Augmentation;
  /** Whether it is yet to be found if moving images takes from them what is to be learned (`moves.ts` of train/). */
  readonly movesIfHarmless: boolean;
  readonly tokens: TokenPlan;
  readonly balance: Balance;
  /** Last epochs over which the student's parameters are averaged; 1: what is kept is the last epoch's. */
  readonly averageEpochs: number;
  readonly batch: BatchPlan;
  readonly compile: CompilePlan;
  readonly engine: EnginePlan;
  readonly protocol: Protocol;
  /** Epochs without a better one after which the phase that looks for the best ends; 0: it does not. */
  readonly patience: number;
  /** Epochs between looks at the test images that decide nothing; 0: none. */
  readonly evalEvery: number;
  /** Path of the data set. */
  readonly data: string;
  readonly images: ImagePlan;
  readonly cache: CachePlan;
  /** Whether weights may be fetched. */
  readonly offline: boolean;
}

/** What the training loop needs of it. */
export type TrainingPlan = Pick<
  RunPlan,
  'seed' | 'objective' | 'schedule' | 'optimiser' | 'augmentation' | 'tokens' | 'balance' | 'batch'
>;

/** How far images are moved where that is left to idat: the share of their side that did best (docs/presets.md). */
export const MOVED_BY = 0.125;

/** Sorts the settings of a run. The only place that reads them one by one. */
export function planOf(settings: FineTuneSettings): RunPlan {
  const { flip, cropPadding, trivialAugment, teacherView, dropTokens, dropPath, head, imageSize } = settings;
  const shared = {
    imageSize: imageSize === undefined ? undefined : (parseImageSize(`${imageSize}`) ?? undefined),
    head,
    dropTokens,
  };
  const student: ModelPlan = {
    name: settings.student,
    firstBlocks: null,
    scratch: settings.scratch ?? null,
    layerNormEps: settings.studentLayerNormEps,
    method: settings.method,
    methodOptions: settings.options,
    blocks: { field: 'blocks', text: settings.blocks, inherited: false },
    dropPath: reachable(settings.method, dropPath),
    ...shared,
  };
  const own = selfDepth(settings.teacher);
  const teacher: ModelPlan | null =
    settings.teacher === null
      ? null
      : {
          name: own === null ? settings.teacher : student.name,
          firstBlocks: own,
          scratch: own === null ? null : student.scratch,
          layerNormEps: own === null ? settings.teacherLayerNormEps : student.layerNormEps,
          method: settings.teacherMethod,
          methodOptions: settings.teacherOptions,
          blocks: blocksOfTeacher(settings),
          dropPath: reachable(settings.teacherMethod, dropPath),
          ...shared,
        };
  return {
    variant: variantName(settings),
    seed: settings.seed,
    splitSeed: settings.splitSeed,
    models: { student, teacher },
    objective: objectiveOf(settings),
    schedule: {
      lr: settings.lr,
      epochs: settings.epochs,
      warmupEpochs: settings.warmupEpochs,
      warmupLr: settings.warmupLr,
      minLr: settings.minLr,
      cooldownEpochs: settings.cooldownEpochs,
      perStep: settings.lrPerStep,
    },
    optimiser: { weightDecay: settings.weightDecay, clipNorm: settings.clipNorm ?? null },
    augmentation: { flip, cropPadding: cropPadding === 'auto' ? MOVED_BY : cropPadding, trivialAugment, teacherView },
    movesIfHarmless: cropPadding === 'auto',
    tokens: { drop: dropTokens, fullEpochs: settings.fullTokenEpochs },
    balance: settings.balance,
    averageEpochs: settings.averageEpochs,
    batch: { size: settings.batchSize, microBatch: settings.microBatch },
    compile: { frozen: settings.frozen, disable: settings.disable },
    engine: { device: settings.device, threads: settings.threads, replicas: settings.replicas },
    protocol: PROTOCOLS[settings.protocol],
    patience: settings.patience,
    evalEvery: settings.evalEvery,
    data: settings.data,
    images: { orient: settings.orient, strict: settings.strict },
    cache: { folder: settings.cacheDir ?? null, prefixBytes: settings.prefixMemory * 2 ** 20 },
    offline: settings.offline,
  };
}

/** @throws IdatError `run.damaged` where the record lacks what was found: the run could be gone on with otherwise than it began */
function withMovesOf({ cropPadding }: RunRecord['resolved'], plan: RunPlan): RunPlan {
  if (!plan.movesIfHarmless) return plan;
  if (cropPadding === undefined) {
    const what = 'config.json: resolved.cropPadding is missing, where the settings leave it to the data';
    throw new IdatError('run.damaged', `${what}; take the file from a copy of the run, or start a new one`);
  }
  return { ...plan, movesIfHarmless: false, augmentation: { ...plan.augmentation, cropPadding } };
}

/**
 * The plan of a run that has begun: what its machine and its data came to is kept to. Runs of versions without a record of the range had
 * all of a byte.
 * @throws IdatError `run.damaged`
 */
export function planOfRun({ settings, resolved }: Pick<RunRecord, 'settings' | 'resolved'>): RunPlan {
  const plan = withMovesOf(resolved, planOf(settings));
  if (plan.compile.frozen === 'float32') return plan;
  return { ...plan, compile: { ...plan.compile, int8Largest: resolved.int8Largest ?? INT8_LARGEST } };
}

/** The student's where nothing else is said, and where the teacher's method has a use for them. */
function blocksOfTeacher({ blocks, teacherBlocks, teacherMethod }: FineTuneSettings): BlockChoice {
  if (teacherBlocks !== undefined) return { field: 'teacherBlocks', text: teacherBlocks, inherited: false };
  const text = methodByName(teacherMethod).inBlocks === false ? ALL_BLOCKS : blocks;
  return { field: 'teacherBlocks', text, inherited: true };
}

/** Nothing before the head is trained by linear probing, so that there is nothing to regularise. */
const reachable = (method: string, dropPath: number): number => (method === 'linear' ? 0 : dropPath);

function objectiveOf(settings: FineTuneSettings): ObjectivePlan {
  const { labelSmoothing, beta, betaEnd, betaShape, epochs, teacherWarmupEpochs: without } = settings;
  const changes = betaEnd !== undefined || without > 0;
  if (settings.teacher === null) return { labelSmoothing, distillation: null, weight: null };
  const distillation: Distillation = {
    loss: settings.distill,
    temperature: settings.temperature,
    squaredTemperature: settings.squaredTemperature,
    alpha: settings.alpha,
    beta: changes ? 'fed' : beta,
    featureLayers: settings.featureLayers,
    featureTokens: settings.featureTokens,
    gradient: settings.distillGradient,
  };
  const weight = changes ? { without, beta, betaEnd: betaEnd ?? beta, betaShape, epochs } : null;
  return { labelSmoothing, distillation, weight };
}
