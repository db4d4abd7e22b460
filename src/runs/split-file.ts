/** split.json of a run directory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { parseSplit, type RunSplit, SPLIT_FILE, splitText } from '../train/run-split.js';

export const writeSplit = (dir: string, split: RunSplit): Promise<void> =>
  writeFileAtomic(join(dir, SPLIT_FILE), splitText(split));

/** Null in runs of versions that kept none. @throws IdatError `run.damaged` */
export async function readSplit(dir: string): Promise<RunSplit | null> {
  const path = join(dir, SPLIT_FILE);
  const text = await readFile(path, 'utf8').catch(() => null);
  return text === null ? null : parseSplit(text, path);
}
