/** The file by which a sweep finds its jobs again. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { IdatError } from '../errors.js';

const FILE = 'queue.json';
const SweepFile = z.object({ format: z.literal('idat-queue-sweep-1'), sweep: z.uuid() });

/** Null where there is none. */
export async function readSweepId(out: string): Promise<string | null> {
  const text = await readFile(join(out, FILE), 'utf8').catch(() => '');
  try {
    return SweepFile.safeParse(JSON.parse(text)).data?.sweep ?? null;
  } catch {
    return null;
  }
}

/** By which a sweep finds its jobs again. Of two processes that begin at once the first one's holds. */
export async function sweepIdOf(out: string): Promise<string> {
  const known = await readSweepId(out);
  if (known !== null) return known;
  const sweep = randomUUID();
  const text = `${JSON.stringify({ format: 'idat-queue-sweep-1', sweep })}\n`;
  try {
    await writeFile(join(out, FILE), text, { flag: 'wx' });
    return sweep;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const other = await readSweepId(out);
    if (other !== null) return other;
    throw new IdatError(
      'queue.sweep',
      `${join(out, FILE)}: is no file of a sweep; remove it, or choose another folder`,
    );
  }
}
