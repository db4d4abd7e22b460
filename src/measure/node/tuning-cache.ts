/** Choices measured earlier on this machine, remembered in the user's cache folder. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../files/node/atomic-write.js';
import { cacheFolder } from '../../files/node/cache-folder.js';
import { withLock } from '../../files/node/lock.js';
import type { TuningEntry } from '../tuning.js';

const Entry = z.object({
  microBatch: z.int().min(1),
  threads: z.int().min(1),
  replicas: z.int().min(1),
  /** What was measured, in words. */
  why: z.string(),
  /** ISO date. */
  measured: z.string(),
});
const Entries = z.object({ format: z.literal('idat-tuning-2'), entries: z.record(z.string(), Entry) });

/** Writing takes some milliseconds; who cannot have the lock for so long goes on without remembering. */
const PATIENCE_MS = 2000;
/** Of a holder that cannot be seen. */
const SILENCE_MS = 1000;

const path = () => join(cacheFolder(), 'tuning.json');

export async function recallTuning(key: string): Promise<TuningEntry | null> {
  return (await readEntries())[key] ?? null;
}

/**
 * Adds an entry to the file, which is whole at every moment; processes that write at once wait for each other.
 * @throws IdatError `files.write`, `files.locked` or the system's error when the cache folder cannot be written
 */
export async function rememberTuning(key: string, entry: TuningEntry): Promise<void> {
  await mkdir(cacheFolder(), { recursive: true });
  await withLock(`${path()}.lock`, { patienceMs: PATIENCE_MS, silenceMs: SILENCE_MS }, async () => {
    const entries = { ...(await readEntries()), [key]: entry };
    const file: z.infer<typeof Entries> = { format: 'idat-tuning-2', entries };
    await writeFileAtomic(path(), `${JSON.stringify(file, null, 2)}\n`);
  });
}

/** A file that is missing, damaged or of another version holds nothing; the next entry replaces it. */
async function readEntries(): Promise<Record<string, TuningEntry>> {
  const text = await readFile(path(), 'utf8').catch(() => '');
  try {
    return Entries.parse(JSON.parse(text)).entries;
  } catch {
    return {};
  }
}
