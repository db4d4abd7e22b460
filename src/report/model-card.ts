/**
 * The card of a trained model: what it is, how good it is, how it was made, and its log.
 */
import type { Backbone, BackboneConfig } from '../backbones/backbone.js';
import { type FineTuneSettings, resultSettings } from '../settings/config.js';
import { type FieldName, flagOf, presetOf } from '../settings/fields.js';
import { looks, PROTOCOLS } from '../settings/protocols.js';
import type { BackboneRecord, EpochMetrics, RunRecord, RunResult } from '../settings/record.js';

export interface CardFacts {
  /** What was trained, or began as random weights. */
  readonly backbone: Backbone;
  /** Name of the file of the weights. */
  readonly file: string;
  /** Numbers in it, head included. */
  readonly parameters: number;
  readonly record: RunRecord;
  readonly classes: readonly string[];
  readonly result: RunResult;
  readonly metrics: readonly EpochMetrics[];
}

/** Where the card of a file of weights lies: beside `model.safetensors`, in `model-card.md`. */
export const cardPath = (weights: string): string => `${weights.replace(/\.safetensors$/i, '')}-card.md`;

/** Markdown, to lie beside the weights. */
export function modelCard(facts: CardFacts): string {
  const { record } = facts;
  const metrics = facts.metrics.filter(({ phase }) => phase === 'final');
  const { idat, onnxruntime, node } = record.versions;
  return [
    `# ${facts.backbone.name}`,
    origin(record.settings),
    table(['', ''], properties(facts)),
    looks(PROTOCOLS[record.settings.protocol], record.settings.evalEvery),
    '## Recipe',
    table(['', ''], recipe(record)),
    `Made by idat ${idat} on ONNX Runtime ${onnxruntime}, Node ${node}. What was not named has idat's default.`,
    '## Log',
    table(['epoch', 'learning rate at its end', 'loss', 'top-1 in training', 'top-1 on test'], metrics.map(logRow)),
    'Loss and top-1 in training are means over an epoch, of changed images and while the model still learnt.\n',
  ].join('\n\n');
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;

const origin = ({ scratch, method }: FineTuneSettings): string =>
  scratch
    ? 'A vision transformer trained from random weights on labelled images, by `idat pretrain`.'
    : `This backbone tuned on labelled images by \`idat train --method ${method}\`, and merged by \`idat merge\`.`;

function properties({ backbone, file, parameters, record, classes, result }: CardFacts): string[][] {
  const { config, mean, std } = backbone;
  const names = classes.length <= 20 ? `: ${classes.join(', ')}` : '';
  return [
    [
      'top-1 on test',
      `${percent(result.accuracy)} (${result.correct} of ${result.total} images), ${PROTOCOLS[result.protocol].kept}`,
    ],
    ['parameters', `${parameters.toLocaleString('en')}, head included`],
    ['sizes', sizes(config)],
    ['input', `RGB, ${config.imageSize} × ${config.imageSize} pixels (bicubic), patches of ${config.patchSize}`],
    ['normalisation', `(byte/255 − mean)/std, mean ${mean.join(', ')}, std ${std.join(', ')}`],
    ['classes', `${classes.length}${names}`],
    ['data', `${lastName(record.data.source)}; trained on train and val together. ${record.data.note}`],
    ['training time', duration(result.seconds)],
    ['weights', `${file}: float32, timm's tensor names; sizes and normalisation in its metadata`],
  ];
}

const duration = (seconds: number): string =>
  seconds < 3600 ? `${(seconds / 60).toFixed(1)} minutes` : `${(seconds / 3600).toFixed(2)} hours`;

/** The last step of a path, as it is written on any system. */
const lastName = (path: string): string => path.replace(/[\\/]+$/, '').replace(/^.*[\\/]/, '');

function sizes(config: BackboneConfig): string {
  if (config.family === 'vit') {
    return `width ${config.width}, depth ${config.depth}, heads ${config.heads}, MLP ${config.mlpWidth}`;
  }
  const { embedWidth, depths, heads, windowSize } = config;
  return `width ${embedWidth} in the first stage, depths ${depths.join(', ')}, heads ${heads.join(', ')}, windows of ${windowSize}`;
}

/** Settings in words. */
interface RecipeRow {
  readonly name: string;
  /** The fields that the row tells all about. */
  readonly fields: readonly FieldName[];
  /** False where there is nothing to tell. */
  tell(record: RunRecord): string | number | false;
}

const RECIPE: readonly RecipeRow[] = [
  {
    name: 'begun from',
    fields: ['student', 'scratch'],
    tell: ({ settings, student }) => (settings.scratch ? 'random weights' : named(student)),
  },
  {
    name: 'method',
    fields: ['method', 'options'],
    tell: ({ settings }) => withOptions(settings.method, settings.options),
  },
  {
    name: 'taught by',
    fields: ['teacher', 'teacherMethod', 'teacherOptions'],
    tell: ({ settings, teacher }) =>
      teacher !== null && `${named(teacher)}, with ${withOptions(settings.teacherMethod, settings.teacherOptions)}`,
  },
  {
    name: 'distillation',
    fields: ['distill', 'beta'],
    tell: ({ settings, teacher }) => teacher !== null && `${settings.distill}, weight ${settings.beta}`,
  },
  {
    name: 'epochs',
    fields: ['epochs', 'cooldownEpochs'],
    tell: ({ settings: { epochs, cooldownEpochs } }) =>
      cooldownEpochs > 0 ? `${epochs} and ${cooldownEpochs} of cooldown` : epochs,
  },
  { name: 'images for each update', fields: ['batchSize'], tell: ({ settings }) => settings.batchSize },
  {
    name: 'optimiser',
    fields: ['weightDecay'],
    tell: ({ settings }) => `AdamW, weight decay ${settings.weightDecay} on matrices`,
  },
  {
    name: 'learning rate',
    fields: ['lr', 'warmupEpochs', 'warmupLr', 'minLr', 'lrPerStep'],
    tell: ({ settings: { lr, warmupEpochs, warmupLr, minLr, lrPerStep } }) =>
      `${lr}, ${warmupEpochs} epochs of warm-up from ${warmupLr}, cosine to ${minLr}, changed ${lrPerStep ? 'from step to step' : 'from epoch to epoch'}`,
  },
  { name: 'longest gradient', fields: ['clipNorm'], tell: ({ settings }) => settings.clipNorm ?? false },
  { name: 'label smoothing', fields: ['labelSmoothing'], tell: ({ settings }) => settings.labelSmoothing },
  { name: 'flips', fields: ['flip'], tell: ({ settings }) => settings.flip && 'for half of the images' },
  {
    name: 'crops',
    fields: ['cropPadding'],
    tell: ({ settings: { cropPadding } }) => cropPadding > 0 && `moved by up to ${cropPadding} pixels, grey outside`,
  },
  {
    name: 'TrivialAugment',
    fields: ['trivialAugment'],
    tell: ({ settings }) => settings.trivialAugment && 'one of 14 changes for each image',
  },
  {
    name: 'patches left out',
    fields: ['dropTokens', 'fullTokenEpochs'],
    tell: ({ settings }) => settings.dropTokens > 0 && droppedTokens(settings),
  },
  { name: 'drop path', fields: ['dropPath'], tell: ({ settings: { dropPath } }) => dropPath > 0 && dropPath },
  { name: 'seed', fields: ['seed'], tell: ({ settings }) => settings.seed },
  { name: 'computed on', fields: [], tell: ({ resolved }) => `${resolved.device}: ${callsOf(resolved)}` },
];

/** Fields that the table of properties tells. */
const TOLD_ELSEWHERE: readonly FieldName[] = ['data', 'protocol'];

/** How it was made: what is always told, and each other setting that changes the result and is not idat's default. */
function recipe(record: RunRecord): string[][] {
  const told = RECIPE.map(({ name, fields, tell }) => ({ name, fields, value: tell(record) }));
  const shown = told.filter(({ value }) => value !== false);
  const covered = new Set([...TOLD_ELSEWHERE, ...shown.flatMap(({ fields }) => fields)]);
  const others = Object.entries(resultSettings(record.settings)) as [FieldName, unknown][];
  const changed = others.filter(
    ([name, value]) => !covered.has(name) && JSON.stringify(value) !== JSON.stringify(presetOf(name)),
  );
  return [
    ...shown.map(({ name, value }) => [name, `${value}`]),
    ...changed.map(([name, value]) => [flagOf(name), typeof value === 'string' ? value : JSON.stringify(value)]),
  ];
}

const named = ({ name, sha256 }: BackboneRecord): string => `${name}, sha256 ${sha256}`;

function withOptions(method: string, options: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(options).map(([name, value]) => ` ${name}=${value}`);
  return `${method}${given.join('')}`;
}

function callsOf({ threads, microBatch, replicas = 1, earlier = [] }: RunRecord['resolved']): string {
  const calls = [...earlier, { threads, microBatch }].map(
    (call) => `${call.microBatch} images a call on ${call.threads} ${call.threads === 1 ? 'thread' : 'threads'}`,
  );
  return `${calls.join(', then ')}${replicas > 1 ? `, ${replicas} calls at a time` : ''}`;
}

const droppedTokens = ({ dropTokens, fullTokenEpochs }: FineTuneSettings): string =>
  `${percent(dropTokens)} of each image, none in the last ${fullTokenEpochs} epochs`;

function logRow({ epoch, lr, loss, trainAccuracy, testAccuracy }: EpochMetrics): string[] {
  const test = testAccuracy === null ? '' : percent(testAccuracy);
  return [`${epoch + 1}`, lr.toExponential(2), loss.student.toFixed(4), percent(trainAccuracy), test];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
