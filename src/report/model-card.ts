/**
 * The card of a trained model: what it is, how good it is, how it was made, and its log.
 */

import type { Backbone, BackboneConfig } from '../backbones/backbone.js';
import { sidesOf } from '../image-size.js';
import { looks, PROTOCOLS } from '../settings/protocols.js';
import type { EpochMetrics, RunRecord, RunResult } from '../settings/record.js';
import { fullAccuracy, worstClasses } from './accuracy.js';
import { markdownTable, plain } from './markdown.js';
import { recipe } from './recipe.js';

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
    `# ${plain(facts.backbone.name)}`,
    origin(record),
    table(['', ''], properties(facts)),
    looks(PROTOCOLS[record.settings.protocol], record.settings.evalEvery),
    '## Recipe',
    table(['', ''], recipe(record)),
    plain(
      `Made by idat ${idat} on ONNX Runtime ${onnxruntime}, Node ${node}. Every other setting that changes results has the default of that version.`,
    ),
    '## Log',
    table(['epoch', 'learning rate at its end', 'loss', 'top-1 in training', 'top-1 on test'], metrics.map(logRow)),
    'Loss and top-1 in training are means over an epoch, of changed images and while the model still learnt.\n',
  ].join('\n\n');
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;

const origin = ({ settings: { scratch, method } }: RunRecord): string =>
  scratch
    ? 'A vision transformer trained from random weights on labelled images, by `idat pretrain`.'
    : `This backbone tuned on labelled images by ${plain(method)} (\`idat train\`), and merged by \`idat merge\`.`;

function properties({ backbone, file, parameters, record, classes, result }: CardFacts): string[][] {
  const { config, mean, std } = backbone;
  const worst = worstClasses(result, classes);
  const names = classes.length <= 20 ? `: ${classes.join(', ')}` : '';
  return [
    ['top-1 on test', `${fullAccuracy(result)}; ${keptEpoch(result)}`],
    ...(worst === null ? [] : [['worst classes', worst]]),
    ['parameters', `${parameters.toLocaleString('en')}, head included`],
    ['sizes', sizes(config)],
    ['input', `RGB, ${sidesOf(config.imageSize).join(' × ')} pixels (bicubic), patches of ${config.patchSize}`],
    ['normalisation', `(byte/255 − mean)/std, mean ${mean.join(', ')}, std ${std.join(', ')}`],
    ['classes', `${classes.length}${names}`],
    ['data', `${lastName(record.data.source)}; trained on train and val together. ${record.data.note}`],
    ['training time', duration(result.seconds)],
    ['weights', `${file}: float32, timm's tensor names; sizes and normalisation in its metadata`],
  ];
}

/** Which epoch's parameters these are; its number where it was chosen. */
const keptEpoch = ({ protocol, selectedEpoch }: RunResult): string =>
  protocol === 'last' ? PROTOCOLS.last.kept : `${PROTOCOLS[protocol].kept}, epoch ${selectedEpoch + 1}`;

const duration = (seconds: number): string =>
  seconds < 3600 ? `${(seconds / 60).toFixed(1)} minutes` : `${(seconds / 3600).toFixed(2)} hours`;

/** The last step of a path, as it is written on any system. */
const lastName = (path: string): string => path.replace(/[\\/]+$/, '').replace(/^.*[\\/]/s, '');

function sizes(config: BackboneConfig): string {
  if (config.family === 'vit') {
    return `width ${config.width}, depth ${config.depth}, heads ${config.heads}, MLP ${config.mlpWidth}`;
  }
  const { embedWidth, depths, heads, windowSize } = config;
  return `width ${embedWidth} in the first stage, depths ${depths.join(', ')}, heads ${heads.join(', ')}, windows of ${windowSize}`;
}

function logRow({ epoch, lr, loss, trainAccuracy, testAccuracy }: EpochMetrics): string[] {
  const test = testAccuracy === null ? '' : percent(testAccuracy);
  return [`${epoch + 1}`, lr.toExponential(2), loss.student.toFixed(4), percent(trainAccuracy), test];
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  markdownTable(
    head,
    rows.map((cells) => cells.map(plain)),
  );
