/** What a sweep was for and what failed, beside its results: what a report has to know and no run tells. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../files/node/atomic-write.js';

const FILE = 'sweep.json';

const Summary = z.object({
  format: z.literal('idat-sweep-1'),
  plan: z.object({
    says: z.string().exactOptional(),
    paper: z.string().exactOptional(),
    standIn: z.string().exactOptional(),
    against: z.union([z.string(), z.record(z.string(), z.string())]).exactOptional(),
  }),
  /** Of the last time that it was at work. */
  failed: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
});
export type SweepSummary = Omit<z.output<typeof Summary>, 'format'>;

/** @throws IdatError `files.write` */
export async function writeSummary(out: string, { plan, failed }: SweepSummary): Promise<void> {
  const { says, paper, standIn, against } = plan;
  const summary = { format: 'idat-sweep-1', plan: { says, paper, standIn, against }, failed };
  await writeFileAtomic(join(out, FILE), `${JSON.stringify(summary, null, 2)}\n`);
}

/** Null where there is none, as versions before wrote none, or what is there is none of ours. */
export async function readSummary(out: string): Promise<SweepSummary | null> {
  const text = await readFile(join(out, FILE), 'utf8').catch(() => '');
  try {
    return Summary.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
