/**
 * How a model was made, in words for those who do not know idat: a row a subject, the model first, the machine last.
 *
 * Each setting that changes results belongs in a row, or among the model's properties (model-card.ts);
 * test/model-card.test.ts holds it.
 */
import type { TeacherView } from '../data/augment.js';
import type { Balance } from '../data/balance.js';
import { allLosses } from '../distill/index.js';
import type { DistillationLoss } from '../distill/loss.js';
import { INT8_LARGEST, INT8_LARGEST_ANYWHERE } from '../graph/passes/quantise-frozen.js';
import { allMethods } from '../methods/index.js';
import { ALL_BLOCKS, blocksInWords } from '../settings/blocks.js';
import type { FineTuneSettings } from '../settings/config.js';
import { planOf, planOfRun } from '../settings/plan.js';
import type { BackboneRecord, RunRecord } from '../settings/record.js';
import type { FrozenPrecision } from '../step/compile.js';
import type { GradientFlow } from '../step/distillation.js';
import type { HeadStart } from '../step/model.js';

/** Settings in words. */
interface RecipeRow {
  readonly name: string;
  /** Null where there is nothing to tell: the default, or what changes nothing in this run. */
  tell(record: RunRecord): string | null;
}

/** A row that needs the settings alone. */
const row = (name: string, tell: (settings: FineTuneSettings) => string | null): RecipeRow => ({
  name,
  tell: ({ settings }) => tell(settings),
});

/** A row of runs with a teacher. */
const taughtRow = (name: string, tell: (settings: FineTuneSettings) => string | null): RecipeRow =>
  row(name, (settings) => (settings.teacher === null ? null : tell(settings)));

const MODEL: readonly RecipeRow[] = [
  {
    name: 'begun from',
    // sizes stand among the model's properties
    tell: ({ settings, student }) => (settings.scratch ? 'random weights' : named(student)),
  },
  row('size of the input', ({ imageSize }) =>
    imageSize === undefined
      ? null
      : `${imageSize} pixels ${typeof imageSize === 'number' ? 'a side' : '(height × width)'} was asked for; positions were resized to it`,
  ),
  row('epsilon of its norms', ({ studentLayerNormEps: eps }) => epsilon(eps)),
  row('method', ({ method, options }) => withOptions(method, options)),
  row('published as', ({ method }) => {
    const known = allMethods().find(({ name }) => name === method);
    return known ? `${known.title}: ${known.paper}` : null;
  }),
  row('blocks tuned', ({ blocks }) =>
    blocks === ALL_BLOCKS ? null : `${blocksInWords(blocks)}; all others stay as they were`,
  ),
  row('starting values of the head', ({ head }) => HEADS[head]),
];

const HEADS: Readonly<Record<HeadStart, string | null>> = {
  default: null,
  published: 'those published with the method',
  'class-means': 'the classes’ mean directions among the features of the training images before training',
  ridge: 'ridge regression of the classes on the features of the training images before training',
};

const TEACHING: readonly RecipeRow[] = [
  {
    name: 'taught by',
    tell: ({ settings, teacher }) =>
      teacher &&
      `${named(teacher)}, tuned beside it with ${withOptions(settings.teacherMethod, settings.teacherOptions)}`,
  },
  taughtRow('blocks tuned of the teacher', ({ blocks, teacherBlocks = blocks }) =>
    teacherBlocks === ALL_BLOCKS ? null : blocksInWords(teacherBlocks),
  ),
  taughtRow('epsilon of the teacher’s norms', ({ teacherLayerNormEps: eps }) => epsilon(eps)),
  taughtRow('distillation loss', lossInWords),
  taughtRow('features compared', featuresInWords),
  taughtRow('weights of the losses', weightsInWords),
  taughtRow('the teacher sees', ({ teacherView }) => VIEWS[teacherView]),
  taughtRow('distillation trains', ({ distillGradient }) => FLOWS[distillGradient]),
];

const TRAINING: readonly RecipeRow[] = [
  row('epochs', ({ epochs, cooldownEpochs: after }) =>
    after > 0 ? `${epochs}, and ${after} more at the lowest learning rate` : `${epochs}`,
  ),
  row('length chosen with patience', ({ patience }) =>
    patience > 0 ? `the search for the best epoch ended ${patience} epochs after the last better one` : null,
  ),
  row('parameters kept', ({ averageEpochs: last }) =>
    last > 1 ? `the mean of those after each of the last ${last} epochs` : null,
  ),
  row('images for each update', ({ batchSize }) => `${batchSize}`),
  row('classes of unequally many images', ({ balance }) => BALANCE_WORDS[balance]),
  row('optimiser', ({ weightDecay }) => `AdamW, weight decay ${weightDecay} on matrices`),
  row('learning rate', rateInWords),
  row('gradient clipping', ({ clipNorm }) =>
    clipNorm === undefined ? null : `each model’s gradient shortened to a norm of ${clipNorm}`,
  ),
  row('label smoothing', ({ labelSmoothing: share }) =>
    share > 0 ? `${share} of each label spread over all classes` : null,
  ),
  row('drop path', (settings) => {
    const { student, teacher } = planOf(settings).models; // 0 where there is nothing to drop
    const rate = Math.max(student.dropPath, teacher?.dropPath ?? 0);
    return rate > 0 ? `branches left out at random, at rate ${rate} in the last block and less before it` : null;
  }),
];

const BALANCE_WORDS: Readonly<Record<Balance, string | null>> = {
  none: null,
  sampling: 'drawn equally often in each epoch',
  weights: 'weighted by the inverse of their frequency, in every loss',
};

const IMAGES: readonly RecipeRow[] = [
  row('photographs', ({ orient }) => (orient ? null : 'read as stored, not turned as their EXIF tag says')),
  row('flips', ({ flip }) => (flip ? 'half of the images mirrored, at random' : null)),
  {
    name: 'crops',
    tell: (record) => {
      const most = planOfRun(record).augmentation.cropPadding;
      if (most === 0)
        return record.settings.cropPadding === 'auto'
          ? 'not moved, as classes seem to depend on where things are'
          : null;
      const far = most < 1 ? `${Number((100 * most).toFixed(2))} % of each side` : `${most} pixels`;
      return `moved at random by up to ${far}, grey outside`;
    },
  },
  row('TrivialAugment', ({ trivialAugment }) =>
    trivialAugment ? 'one of 14 changes of colour or shape for each image, at random' : null,
  ),
  row('patches left out', ({ dropTokens, fullTokenEpochs: last }) => {
    if (dropTokens === 0) return null;
    return `${(100 * dropTokens).toFixed(2)} % of each image${last > 0 ? `, none in the last ${last} epochs` : ''}`;
  }),
];

const MACHINE: readonly RecipeRow[] = [
  { name: 'frozen weights', tell: precisionInWords },
  row('seed', ({ seed, splitSeed }) =>
    splitSeed === seed ? `${seed}` : `${seed}; ${splitSeed} of splits that idat makes`,
  ),
  { name: 'computed on', tell: ({ resolved }) => `${resolved.device}: ${callsOf(resolved)}` },
];

const ROWS = [...MODEL, ...TEACHING, ...TRAINING, ...IMAGES, ...MACHINE];

/** Names and values, plain text: what is always told, and every other setting that changes the result and is not idat's default. */
export const recipe = (record: RunRecord): [name: string, value: string][] =>
  ROWS.flatMap(({ name, tell }): [string, string][] => {
    const value = tell(record);
    return value === null ? [] : [[name, value]];
  });

const named = ({ name, sha256 }: BackboneRecord): string => `${name}, sha256 ${sha256}`;

const epsilon = (eps: number | undefined): string | null =>
  eps === undefined ? null : `${eps} was asked for, whatever the checkpoint’s is`;

function withOptions(method: string, options: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return [method, ...given.map(([name, value]) => `${name}=${value}`)].join(' ');
}

/** Undefined for a loss of somebody's own that this process has not seen. */
const lossOf = ({ distill }: FineTuneSettings): DistillationLoss | undefined =>
  allLosses().find(({ name }) => name === distill);

function lossInWords(settings: FineTuneSettings): string {
  const { distill, temperature, squaredTemperature } = settings;
  const loss = lossOf(settings);
  const name = loss ? `${distill}: ${loss.formula}` : `${distill}, a loss of its maker’s own`;
  if (loss && !loss.softens) return name;
  return `${name}; temperature τ = ${temperature}${squaredTemperature ? ', multiplied by τ²' : ''}`;
}

/** Null for losses on logits, and where every feature is compared. */
function featuresInWords(settings: FineTuneSettings): string | null {
  const { featureLayers, featureTokens } = settings;
  const everything = featureLayers === undefined && featureTokens === 'all';
  if (everything || lossOf(settings)?.reads === 'logits') return null;
  const blocks = featureLayers === undefined ? 'all blocks' : `blocks ${featureLayers.join(', ')} of the teacher`;
  return `${blocks}, ${featureTokens === 'all' ? 'all tokens' : 'class tokens alone'}`;
}

function weightsInWords(settings: FineTuneSettings): string {
  const { alpha, beta, betaEnd, betaShape, epochs, teacherWarmupEpochs: without } = settings;
  const begins = without > 0 ? ` from epoch ${without + 1} on` : '';
  const terms = `1 for the student’s cross-entropy, ${alpha} for the teacher’s, ${beta} for distillation${begins}`;
  if (betaEnd === undefined) return terms;
  const along = betaShape === 'linear' ? 'a straight line' : 'half a cosine';
  return `${terms}${without > 0 ? '' : ' in the first epoch'}, which goes to ${betaEnd} in epoch ${epochs} along ${along}`;
}

const VIEWS: Readonly<Record<TeacherView, string | null>> = {
  same: null,
  flip: 'what the student sees, mirrored',
};

const FLOWS: Readonly<Record<GradientFlow, string | null>> = {
  both: null,
  student: 'the student alone',
  teacher: 'the teacher alone',
};

const PRECISIONS: Readonly<Record<FrozenPrecision, string | null>> = {
  float32: null,
  'int8-forward': 'products with them in 8-bit integers, forward only (int8-forward)',
  int8: 'products with them in 8-bit integers, forward and backward (int8)',
};

function precisionInWords({ settings: { frozen }, resolved: { int8Largest } }: RunRecord): string | null {
  const words = PRECISIONS[frozen];
  if (words === null || int8Largest !== INT8_LARGEST_ANYWHERE) return words;
  return `${words}, weights rounded to ±${int8Largest}, not ±${INT8_LARGEST}: products of larger ones overflow on its processor`;
}

function rateInWords({ lr, warmupEpochs, warmupLr, minLr, lrPerStep }: FineTuneSettings): string {
  const rise = warmupEpochs > 0 ? `, ${warmupEpochs} epochs of warm-up from ${warmupLr}` : '';
  return `${lr}${rise}, cosine to ${minLr}, changed from ${lrPerStep ? 'step to step' : 'epoch to epoch'}`;
}

function callsOf({ threads, microBatch, replicas = 1, earlier = [] }: RunRecord['resolved']): string {
  const calls = [...earlier, { threads, microBatch }].map(
    (call) => `${call.microBatch} images a call on ${call.threads} ${call.threads === 1 ? 'thread' : 'threads'}`,
  );
  return `${calls.join(', then ')}${replicas > 1 ? `, ${replicas} calls at a time` : ''}`;
}
