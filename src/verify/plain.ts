/**
 * The sections that need no network: learning rates and image preprocessing.
 */
import { decodeImage } from '../data/node/decode.js';
import { normaliseInto, preprocess } from '../data/preprocess.js';
import { learningRate, totalEpochs } from '../train/schedule.js';
import { broken, preprocessSchema, scheduleSchema } from './directory.js';
import type { Replay } from './replay.js';
import { absolute, relative, worst } from './row.js';

export async function replaySchedules({ directory, report, absent }: Omit<Replay, 'runtime'>): Promise<void> {
  const json = await directory.json('lr_schedule.json', scheduleSchema);
  if (!json) return absent('lr_schedule');
  for (const [index, table] of json.tables.entries()) {
    const schedule = {
      lr: table.base_lr,
      epochs: table.epochs,
      warmupEpochs: table.warmup_epochs,
      warmupLr: table.warmup_lr,
      minLr: table.min_lr,
      cooldownEpochs: table.cooldown_epochs,
    };
    const expected = table.lr_per_epoch;
    if (expected.length !== totalEpochs(schedule)) {
      throw broken(
        `lr_schedule.json: table ${index} lists ${expected.length} epochs where its settings make ${totalEpochs(schedule)}`,
      );
    }
    // each epoch by its own size: the rates span six orders of magnitude
    const epochs = expected.map((rate, epoch) => ({
      value: relative([learningRate(epoch, schedule)], [rate]),
      at: `epoch ${epoch}`,
    }));
    report('learning-rate schedules', `table ${index}`, worst(epochs));
  }
}

export async function replayPreprocessing({ directory, report, absent }: Omit<Replay, 'runtime'>): Promise<void> {
  const json = await directory.json('preprocess.json', preprocessSchema);
  if (!json) return absent('preprocess');
  const [channels, size, width] = json.transform.input_size;
  const { mean, std } = json.transform;
  if (size !== width || mean.length !== channels || std.length !== channels) {
    throw broken('preprocess.json: idat resizes to squares of 3 channels; input_size, mean and std say otherwise');
  }
  const tensors = await directory.tensors('preprocess.safetensors');
  for (const [name, { format }] of Object.entries(json.images)) {
    const image = await decodeImage(await directory.file(`images/${name}`), { orient: false, name });
    let decoded = image;
    if (tensors.has(`${name}/decoded`)) {
      const pixels = tensors.bytes(`${name}/decoded`);
      const [rows, columns] = tensors.shape(`${name}/decoded`) as [number, number];
      const sameShape = rows === image.height && columns === image.width;
      const quantity =
        format === 'JPEG' ? 'preprocessing: decoded, JPEG (levels)' : 'preprocessing: decoded, lossless formats';
      report(quantity, name, sameShape ? absolute(image.pixels, pixels) : Number.NaN);
      decoded = { width: columns, height: rows, pixels };
    }
    const resized = tensors.bytes(`${name}/resized`, channels * size * size);
    report('preprocessing: resized', name, absolute(preprocess(decoded, size), resized));
    const normalised = new Float32Array(resized.length);
    normaliseInto(resized, mean, std, normalised, 0);
    // Beyond 1 a float32 itself is coarser than the bound: there the difference is taken relative to the largest value.
    const expected = tensors.floats(`${name}/normalised`, resized.length);
    const deviation = Math.min(absolute(normalised, expected), relative(normalised, expected));
    report('preprocessing: normalised', name, deviation);
  }
}
