/** Where the images of a run come from: a path, or the memory of a program. */
import { basename, resolve } from 'node:path';
import {
  type Dataset,
  type MemoryData,
  type MemoryTestData,
  openDataset,
  openMemoryData,
  openMemoryTestData,
  type SplitOptions,
} from '../data/node/index.js';
import { IdatError } from '../errors.js';
import type { FetchControl } from '../hub/fetch.js';
import type { OpenedRun } from './open-run.js';

/** A data set: the path of a folder or .zip, or labelled images in memory. */
export type DataSource = string | MemoryData;
/** The same to test on, for which test images are enough. */
export type TestDataSource = DataSource | MemoryTestData;

/** What settings hold in place of a path. */
export const IN_MEMORY = '(memory)';

export const isInMemory = (data: unknown): data is MemoryData | MemoryTestData =>
  typeof data === 'object' && data !== null;

/** Whether images in memory are there to train on, and not to test on alone. */
export const holdsTraining = (data: TestDataSource): boolean =>
  isInMemory(data) && 'train' in data && data.train !== undefined;

/** As settings store it. What is neither a path nor in memory is left to them to refuse. */
export function dataSetting(data: TestDataSource): string {
  if (isInMemory(data)) return IN_MEMORY;
  return typeof data === 'string' ? resolve(data) : data;
}

/** Its name in those of folders. */
export function nameOfData(data: DataSource): string {
  if (isInMemory(data)) return data.name ?? 'memory';
  return basename(data).replace(/\.zip$/i, '');
}

/** @throws IdatError `data.…` as `openDataset` and `readImageLists` */
export async function openData(data: DataSource, options: SplitOptions, fetch?: FetchControl): Promise<Dataset> {
  return isInMemory(data) ? openMemoryData(data, options) : openDataset(resolve(data), options, fetch);
}

/** Opens what is given to measure on: its test images, or all of it where it has none. @throws IdatError as `openData` */
export async function openTestData(data: TestDataSource, fetch?: FetchControl): Promise<Dataset> {
  if (isInMemory(data) && !holdsTraining(data)) return openMemoryTestData(data as MemoryTestData);
  const dataset = await openData(data as DataSource, { seed: 0, valFraction: 0, testFraction: 0 }, fetch);
  return dataset.test.length > 0 ? dataset : { ...dataset, test: dataset.trainval };
}

/**
 * What is given, or else the run's own.
 * @throws IdatError `run.data` when the run's own was in memory
 */
export function dataOfRun<Given extends TestDataSource>(
  { dir, plan }: Pick<OpenedRun, 'dir' | 'plan'>,
  given: Given | undefined,
): Given | string {
  if (given !== undefined) return given;
  if (plan.data !== IN_MEMORY) return plan.data;
  const what = 'its images were in the memory of a program, which has to give them again as data';
  throw new IdatError('run.data', `${dir}: ${what}`, { about: { run: dir } });
}
