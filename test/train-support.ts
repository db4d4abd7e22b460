/** A small data set and settings that train in a second. */
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { randomStream } from '../src/random.js';
import type { FineTuneInput } from '../src/settings/config.js';

export const STUDENT = 'vit_micro_patch4_32.cifar10';
export const TEACHER = 'vit_nano_patch4_32.cifar10';

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'idat-train-'));

/** Three classes of noise, each with more of one colour: a folder for each. */
export async function makeImageFolder(root: string, perClass = 16): Promise<string> {
  const folder = join(root, 'colours');
  for (const [channel, name] of ['red', 'green', 'blue'].entries()) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < perClass; i++) {
      const random = randomStream(1, 'image', name, i);
      const raw = Uint8Array.from({ length: 8 * 8 * 3 }, (_, at) => random.below(160) + (at % 3 === channel ? 60 : 0));
      await sharp(raw, { raw: { width: 8, height: 8, channels: 3 } })
        .png()
        .toFile(join(folder, name, `${i}.png`));
    }
  }
  return folder;
}

export function settings(data: string, out: string): FineTuneInput & { out: string } {
  return {
    data,
    out,
    student: STUDENT,
    teacher: TEACHER,
    epochs: 3,
    warmupEpochs: 1,
    cooldownEpochs: 0,
    batchSize: 8,
    microBatch: 8,
    dropPath: 0.1,
    device: 'cpu',
    threads: 1,
  };
}

export const DETERMINISTIC = ['state.safetensors', 'student.safetensors', 'teacher.safetensors', 'metrics.jsonl'];

/** The files of a run that must not depend on what happened to it. */
export const runBytes = (dir: string): Record<string, string> =>
  Object.fromEntries(DETERMINISTIC.map((name) => [name, readFileSync(join(dir, name)).toString('base64')]));
