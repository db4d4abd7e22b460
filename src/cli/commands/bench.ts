/** idat bench: how fast this machine trains, and how fast others do. */

import { mkdir } from 'node:fs/promises';
import { Command } from 'commander';
import { type BenchRecord, bench as measure } from '../../bench/bench.js';
import { comparableRecords, figureRows, machineRows, saveRecord } from '../../bench/comparison.js';
import { BenchConfig } from '../../bench/config.js';
import { imageSizeText } from '../../image-size.js';
import { addFlags, givenFields } from '../config-flags.js';
import { importExtensions } from '../extension-file.js';
import { facts, table } from '../format.js';
import { writeProfile } from '../profile.js';
import { print, tell } from '../terminal.js';

const command = new Command('bench').description(
  'measure training and inference on this machine, beside the figures of others',
);

export const bench = addFlags(command, BenchConfig, { heading: 'Benchmark:', fields: [] })
  .option('--save <file>', 'add the figures to a file, such as assets/bench/my-machine.json')
  .option('--profile <folder>', 'write where the time of a step goes: profile.json, .md and .svg')
  .option('--json', 'print the figures as one JSON object')
  .action(async (given) => {
    const flags = await importExtensions(given);
    const { save, profile, json } = flags;
    if (profile !== undefined) await mkdir(profile, { recursive: true });
    const status = (text: string) => process.stderr.isTTY && process.stderr.write(`\r\x1b[2K${text}`);
    status('looking for the fastest way to call the runtime …');
    const record = await measure(givenFields(BenchConfig, flags), {
      onNote: (text) => {
        status('');
        tell(`${text}\n`);
      },
      onReading: (done, total) => status(`reading ${done}/${total}`),
      ...(profile !== undefined && { onProfile: (taken) => writeProfile(profile, taken) }),
    }).finally(() => status(''));
    const others = await comparableRecords(record); // before this machine's own are among them
    if (save !== undefined) await saveRecord(save, record);
    print(json ? `${JSON.stringify(record)}\n` : describe(record, others));
  });

function describe(record: BenchRecord, others: readonly BenchRecord[]): string {
  const {
    task,
    machine,
    versions,
    device,
    threads,
    replicas = 1,
    step,
    readings,
    randomWeights,
    peakMemoryBytes,
  } = record;
  const parts = [
    facts({
      machine: `${machine.cpu}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB`,
      device: `${device}, ${threads} ${threads === 1 ? 'thread' : 'threads'}${replicas > 1 ? ` for each of ${replicas} calls at a time` : ''}, ONNX Runtime ${versions.onnxruntime}, idat ${versions.idat}`,
      models: `${task.student}${task.teacher ? `, taught by ${task.teacher}` : ''}, ${task.variant}, ${imageSizeText(task.imageSize)} pixels`,
      'images a call': `${step.images / replicas}, for batches of ${task.batchSize}`,
      'peak memory': `${(peakMemoryBytes / 2 ** 30).toFixed(2)} GiB, of a process that only trains`,
    }),
    table(figureRows(record)),
    `Medians of ${readings} readings taken in turn, lowest to highest in brackets. GFLOP/s count matrix products; the peak is that of [788×768]·[768×3072] through the same runtime.${
      randomWeights
        ? '\nWeights were random, as the files are not on this disk; speed does not depend on the values.'
        : ''
    }`,
    table(machineRows(record, others)),
    others.length > 0
      ? 'Stored figures: the same models, method, image size and batch size.'
      : 'No figures of the same models, method, image size and batch size are stored; --save keeps yours.',
  ];
  return `${parts.join('\n\n')}\n`;
}
