/**
 * What the tests of every layout share.
 */
import { expect, onTestFinished } from 'vitest';
import type { SplitOptions } from '../complete-splits.js';
import type { Dataset, ImageItem } from '../dataset.js';
import { openDataset } from '../node/open.js';
import { dot } from './folder.js';

/** Opens a data set and closes it after the test. */
export async function openForTest(path: string, options: SplitOptions = { seed: 1 }): Promise<Dataset> {
  const dataset = await openDataset(path, options);
  onTestFinished(() => dataset.close());
  return dataset;
}

export const namesOf = (items: ImageItem[]): string[] => items.map(({ name }) => name);

/** What a rejected promise should look like: the code, and a part of the sentence. */
export const refusal = (code: string, message: string) => ({
  name: 'IdatError',
  code,
  message: expect.stringContaining(message),
});

/** The smallest data set in the layout of VTAB-1K. */
export const VTAB_FILES: Record<string, string | Uint8Array> = {
  'images/a.png': dot(1),
  'images/b c.png': dot(2),
  'images/c.png': dot(3),
  'images/d.png': dot(4),
  'train800.txt': 'images/a.png 0\nimages/b c.png 1\n',
  'val200.txt': 'images/c.png 1\n',
  'test.txt': 'images/d.png 2\n',
};
