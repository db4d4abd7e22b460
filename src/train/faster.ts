/** What would make a long run shorter, each by itself, with the time it would then take. */
import { KNOWN_BACKBONES, knownBackbone } from '../backbones/known-backbones.js';
import { sameImageSize } from '../image-size.js';
import type { RunPlan } from '../settings/plan.js';
import type { TunedModel } from '../step/model.js';
import type { Pair } from '../step/roles.js';
import type { Faster } from './progress.js';

/** A run that takes long: seconds of its epochs and of all else. */
export interface LongRun {
  readonly plan: Pick<RunPlan, 'augmentation' | 'compile' | 'engine' | 'schedule'>;
  readonly models: Pair<TunedModel>;
  readonly training: number;
  readonly other: number;
  /** Epochs that are left, of all phases. */
  readonly epochs: number;
  /** Seconds that would be short. */
  readonly within: number;
  /** Seconds of one pass of the student over the images. */
  readonly onePass: number;
}

/** Fewer epochs than this are no training. */
const FEWEST_EPOCHS = 10;
/** By how much a step is faster in 8 bits: 477 ms against 197 with ViT-B/16 (docs/performance.md). */
const INT8_GAIN = 2.4;
/** Images smaller than this lose what is on them. */
const SMALLEST_SIDE = 128;
const SMALLER_SIDE = 0.7;
/** A smaller student should be worth the change. */
const MUCH_SMALLER = 0.6;
/** What is not shorter by this much is not worth a word. */
const WORTH_TELLING = 0.9;

/** The shortest first. */
export function fasterWays(run: LongRun): Faster[] {
  const ways = [fewerEpochs(run), smallerStudent(run), smallerImages(run), int8(run), linear(run)];
  return ways
    .filter((way) => way !== null)
    .filter(({ seconds }) => seconds < WORTH_TELLING * (run.training + run.other))
    .sort((a, b) => a.seconds - b.seconds);
}

function fewerEpochs({ plan: { schedule }, training, other, within, epochs: left }: LongRun): Faster | null {
  const share = Math.max(0, within - other) / training;
  const epochs = Math.floor(schedule.epochs * share);
  // of a run that goes on the schedule is settled
  if (epochs < FEWEST_EPOCHS || left < schedule.epochs) return null;
  return { setting: 'epochs', value: epochs, seconds: other + (training * epochs) / schedule.epochs };
}

/** The largest known backbone of the same patches that is much smaller, of the same training if there is one. */
function smallerStudent({ models: { student, teacher }, training, other }: LongRun): Faster | null {
  const own = knownBackbone(student.spec.backbone.name);
  const beside = teacher ? knownBackbone(teacher.spec.backbone.name)?.parameters : 0;
  if (!own || beside === undefined) return null;
  const { config } = own;
  const [smaller] = KNOWN_BACKBONES.filter(
    (one) =>
      one.config.family === config.family &&
      one.config.patchSize === config.patchSize &&
      sameImageSize(one.config.imageSize, config.imageSize) &&
      one.parameters < MUCH_SMALLER * own.parameters &&
      one.parameters > beside,
  ).sort(
    (a, b) => Number(sameTag(b.name, own.name)) - Number(sameTag(a.name, own.name)) || b.parameters - a.parameters,
  );
  if (!smaller) return null;
  const share = (smaller.parameters + beside) / (own.parameters + beside);
  return { setting: 'student', value: smaller.name, seconds: (training + other) * share };
}

const sameTag = (a: string, b: string): boolean => a.split('.')[1] === b.split('.')[1];

function smallerImages({ models: { student }, training, other }: LongRun): Faster | null {
  const { family, imageSize, patchSize } = student.spec.backbone.config;
  if (family !== 'vit' || typeof imageSize !== 'number') return null;
  const side = Math.round((SMALLER_SIDE * imageSize) / patchSize) * patchSize;
  if (side < SMALLEST_SIDE) return null;
  return { setting: 'imageSize', value: side, seconds: (training + other) * (side / imageSize) ** 2 };
}

function int8({ plan: { compile, engine }, training, other }: LongRun): Faster | null {
  if (compile.frozen !== 'float32' || (engine.device !== 'cpu' && engine.device !== 'auto')) return null;
  return { setting: 'frozen', value: 'int8', seconds: training / INT8_GAIN + other };
}

/** Linear probing: where images are not changed at random, the student sees each once. */
function linear({ models: { student, teacher }, plan: { augmentation }, onePass }: LongRun): Faster | null {
  const { flip, cropPadding, trivialAugment } = augmentation;
  if (student.spec.method === 'linear' || teacher || flip || cropPadding > 0 || trivialAugment) return null;
  return { setting: 'method', value: 'linear', seconds: onePass };
}
