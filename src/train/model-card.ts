/**
 * The card of a trained model: what it is, how good it is, how it was made, and its log.
 */

import { basename } from 'node:path';
import type { Backbone, BackboneConfig } from '../backbones/backbone.js';
import type { FineTuneSettings, Protocol } from './config.js';
import type { EpochMetrics } from './progress.js';
import type { BackboneRecord, RunRecord, RunResult } from './run-directory.js';

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
    looks(record.settings),
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
      `${percent(result.accuracy)} (${result.correct} of ${result.total} images), ${EPOCH_KEPT[result.protocol]}`,
    ],
    ['parameters', `${parameters.toLocaleString('en')}, head included`],
    ['sizes', sizes(config)],
    ['input', `RGB, ${config.imageSize} × ${config.imageSize} pixels (bicubic), patches of ${config.patchSize}`],
    ['normalisation', `(byte/255 − mean)/std, mean ${mean.join(', ')}, std ${std.join(', ')}`],
    ['classes', `${classes.length}${names}`],
    ['data', `${basename(record.data.source)}; trained on train and val together. ${record.data.note}`],
    ['training time', duration(result.seconds)],
    ['weights', `${file}: float32, timm's tensor names; sizes and normalisation in its metadata`],
  ];
}

const duration = (seconds: number): string =>
  seconds < 3600 ? `${(seconds / 60).toFixed(1)} minutes` : `${(seconds / 3600).toFixed(2)} hours`;

const EPOCH_KEPT: Record<Protocol, string> = {
  last: 'after the last epoch',
  val: 'after the epoch that was best on val',
  paper: 'after the epoch that was best on these images',
};

function sizes(config: BackboneConfig): string {
  if (config.family === 'vit') {
    return `width ${config.width}, depth ${config.depth}, heads ${config.heads}, MLP ${config.mlpWidth}`;
  }
  const { embedWidth, depths, heads, windowSize } = config;
  return `width ${embedWidth} in the first stage, depths ${depths.join(', ')}, heads ${heads.join(', ')}, windows of ${windowSize}`;
}

/** How often the test images were looked at, as it says how far their score can be trusted. */
function looks({ evalEvery, protocol }: FineTuneSettings): string {
  if (protocol === 'paper') return 'The test images chose the epoch, so that its score on them is optimistic.';
  if (evalEvery === 0) return 'The test images were looked at once, at the end.';
  const often = evalEvery === 1 ? 'each epoch' : `every ${evalEvery} epochs`;
  return `The test images were looked at after ${often}; training did not depend on what was seen.`;
}

function recipe({ settings, resolved, student, teacher }: RunRecord): string[][] {
  const { epochs, cooldownEpochs, warmupEpochs, warmupLr, minLr, lr, batchSize } = settings;
  const rows: [string, string | number | false][] = [
    ['begun from', !settings.scratch && named(student)],
    ['method', !settings.scratch && withOptions(settings.method, settings.options)],
    [
      'taught by',
      teacher !== null && `${named(teacher)}, with ${withOptions(settings.teacherMethod, settings.teacherOptions)}`,
    ],
    ['distillation', teacher !== null && `${settings.distill}, weight ${settings.beta}`],
    ['epochs', cooldownEpochs > 0 ? `${epochs} and ${cooldownEpochs} of cooldown` : epochs],
    ['images for each update', batchSize],
    ['optimiser', `AdamW, weight decay ${settings.weightDecay} on matrices`],
    ['learning rate', `${lr}, ${warmupEpochs} epochs of warm-up from ${warmupLr}, cosine to ${minLr}`],
    ['longest gradient', settings.clipNorm ?? false],
    ['label smoothing', settings.labelSmoothing],
    ['flips', settings.flip && 'for half of the images'],
    ['crops', settings.cropPadding > 0 && `moved by up to ${settings.cropPadding} pixels, grey outside`],
    ['TrivialAugment', settings.trivialAugment && 'one of 14 changes for each image'],
    ['patches left out', settings.dropTokens > 0 && droppedTokens(settings)],
    ['drop path', settings.dropPath > 0 && settings.dropPath],
    ['seed', settings.seed],
    ['computed on', `${resolved.device}: ${callsOf(resolved)}`],
  ];
  return rows.filter(([, value]) => value !== false).map(([name, value]) => [name, `${value}`]);
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
