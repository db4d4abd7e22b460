/**
 * The card of a model trained from random weights: what it is, how good it is, how it was made, and its log.
 */

import { basename } from 'node:path';
import type { ViTConfig } from '../backbones/backbone.js';
import type { FineTuneSettings } from './config.js';
import type { EpochMetrics } from './progress.js';
import type { RunRecord, RunResult, TunedModels } from './run-directory.js';

export interface CardFacts {
  readonly model: TunedModels['student'];
  readonly config: ViTConfig;
  readonly record: RunRecord;
  readonly classes: readonly string[];
  readonly result: RunResult;
  readonly metrics: readonly EpochMetrics[];
}

/** Markdown, for `model-card.md` beside the weights. */
export function modelCard(facts: CardFacts): string {
  const { record, metrics } = facts;
  const { idat, onnxruntime, node } = record.versions;
  return [
    `# ${facts.model.spec.backbone.name}`,
    'A vision transformer trained from random weights on labelled images, by `idat pretrain`.',
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

function properties({ model: { spec, layout }, config, record, classes, result }: CardFacts): string[][] {
  const { mean, std } = spec.backbone;
  const names = classes.length <= 20 ? `: ${classes.join(', ')}` : '';
  return [
    [
      'top-1 on test',
      `${percent(result.accuracy)} (${result.correct} of ${result.total} images), after the last epoch`,
    ],
    ['parameters', `${layout.size.toLocaleString('en')}, head included`],
    ['sizes', `width ${config.width}, depth ${config.depth}, heads ${config.heads}, MLP ${config.mlpWidth}`],
    ['input', `RGB, ${config.imageSize} × ${config.imageSize} pixels (bicubic), patches of ${config.patchSize}`],
    ['normalisation', `(byte/255 − mean)/std, mean ${mean.join(', ')}, std ${std.join(', ')}`],
    ['classes', `${classes.length}${names}`],
    ['data', `${basename(record.data.source)}; trained on train and val together. ${record.data.note}`],
    ['training time', `${(result.seconds / 3600).toFixed(2)} hours`],
    ['weights', "model.safetensors: float32, timm's tensor names; sizes and normalisation in its metadata"],
  ];
}

/** How often the test images were looked at, as it says how far their score can be trusted. */
function looks({ evalEvery }: FineTuneSettings): string {
  if (evalEvery === 0) return 'The test images were looked at once, at the end.';
  const often = evalEvery === 1 ? 'each epoch' : `every ${evalEvery} epochs`;
  return `The test images were looked at after ${often}; training did not depend on what was seen.`;
}

function recipe({ settings, resolved }: RunRecord): string[][] {
  const { epochs, cooldownEpochs, warmupEpochs, warmupLr, minLr, lr, batchSize } = settings;
  const rows: [string, string | number | false][] = [
    ['epochs', cooldownEpochs > 0 ? `${epochs} and ${cooldownEpochs} of cooldown` : epochs],
    ['images for each update', batchSize],
    ['optimiser', `AdamW, weight decay ${settings.weightDecay} on matrices`],
    ['learning rate', `${lr}, ${warmupEpochs} epochs of warm-up from ${warmupLr}, cosine to ${minLr}`],
    ['longest gradient', settings.clipNorm ?? false],
    ['label smoothing', settings.labelSmoothing],
    ['flips', settings.flip && 'for half of the images'],
    ['crops', settings.cropPadding > 0 && `moved by up to ${settings.cropPadding} pixels, grey outside`],
    ['patches left out', settings.dropTokens > 0 && droppedTokens(settings)],
    ['drop path', settings.dropPath > 0 && settings.dropPath],
    ['seed', settings.seed],
    ['computed on', `${resolved.device}: ${callsOf(resolved)}`],
  ];
  return rows.filter(([, value]) => value !== false).map(([name, value]) => [name, `${value}`]);
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
