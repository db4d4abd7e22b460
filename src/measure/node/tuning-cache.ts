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
  /** Of a batch, padding included. */
  msPerImage: z.number().positive(),
  /** What was measured, in words. */
  why: z.string(),
  /** ISO date. */
  measured: z.string(),
});
/** Until 2, what was measured beside other programs was remembered as well, which no entry tells. */
const FORMAT = 'idat-tuning-3';
const Entries = z.object({ format: z.literal(FORMAT), entries: z.record(z.string(), Entry) });

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
  await changeEntries((entries) => ({ ...entries, [key]: entry }));
}

/** Removes an entry, so that it is measured again. @throws as `rememberTuning` */
export async function forgetTuning(key: string): Promise<void> {
  if ((await recallTuning(key)) === null) return;
  await changeEntries(({ [key]: _, ...others }) => others);
}

async function changeEntries(change: (entries: Record<string, TuningEntry>) => Record<string, TuningEntry>) {
  await withLock(`${path()}.lock`, { patienceMs: PATIENCE_MS, silenceMs: SILENCE_MS }, async () => {
    const file: z.infer<typeof Entries> = { format: FORMAT, entries: change(await readEntries()) };
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
