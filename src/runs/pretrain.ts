/**
 * Pretraining: a ViT of any size from random weights, by the loop that fine-tunes.
 */
import { type PretrainInput, toFineTune } from '../settings/pretrain.js';
import { type DataSource, isInMemory, nameOfData } from './data-source.js';
import type { FineTuneControl, FineTuneResult } from './fine-tune.js';
import { fineTune } from './fine-tune.js';

/** What `pretrain` is asked to do: its settings, which are JSON but for images in memory. */
export type PretrainRequest = Omit<PretrainInput, 'data'> & { data: DataSource };

/**
 * Trains a ViT from random weights on all training images of a data set and measures it on the test images. The run
 * directory is that of any run, so it is resumed, evaluated and predicted with alike; at its end it holds
 * `model.safetensors`, which is fine-tuned by its path, and `model-card.md`.
 *
 * @throws IdatError as `fineTune`
 */
export async function pretrain(request: PretrainRequest, control: FineTuneControl = {}): Promise<FineTuneResult> {
  const { data } = request;
  const named = isInMemory(data) ? nameOfData(data) : data;
  return fineTune({ ...toFineTune({ ...request, data: named }), data }, control);
}
