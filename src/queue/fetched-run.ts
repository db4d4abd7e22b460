/** A run that has come back from the queue, as a directory like any other. Its files were written by whoever had access there. */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError } from '../errors.js';
import { claim, finishedHere, type RunStatus } from '../experiments/schedule.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { writeEvents } from '../runs/event-file.js';
import { storedSettingsOf } from '../runs/request.js';
import { readMetrics, readTimings } from '../runs/run-directory.js';
import { canonical, differingSettings } from '../settings/config.js';
import type { RunRecord, RunResult } from '../settings/record.js';
import { type RunFolder, readClasses, readRecord, readResult } from '../train/run-files.js';
import { SPLIT_FILE } from '../train/run-split.js';
import type { Job } from './job.js';
import type { History, RunFiles } from './store.js';
import type { Wanted } from './wanted.js';

/** Of one that is read as text; splits of a million images have less. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;

/** The files of a run in memory. */
const inMemory = (files: RunFiles, name: string): RunFolder => ({
  place: name,
  pathOf: (file) => `${name}/${file}`,
  text: async (file) => {
    const content = files.get(file);
    return content ? new TextDecoder().decode(content) : null;
  },
  tensors: async () => null,
  write: async () => {},
});

/**
 * Writes a run to its place, unless the same one has come to lie there meanwhile. Its record gets the places of this machine.
 * @throws IdatError `queue.foreign` for what is not the run that was asked for, and as `readRecord` and `readResult`
 */
export async function writeFetched(
  status: RunStatus,
  job: Job,
  { paths }: Wanted,
  files: RunFiles,
  history: History,
): Promise<RunResult> {
  for (const [name, { length }] of files) {
    if (length <= MAX_TEXT_BYTES || name.endsWith('.safetensors')) continue;
    throw new IdatError('queue.foreign', `${status.run.name}: ${name} has ${length} bytes, more than any run's`);
  }
  const folder = inMemory(files, status.run.name);
  const record = await readRecord(folder);
  const result = await readResult(folder, record);
  await readClasses(folder, record.classes);
  const foreign = result ? strangeness(record, job, status, files) : 'it has no result';
  if (foreign !== null) {
    const what = `what came back from the queue is not this run (${foreign})`;
    throw new IdatError('queue.foreign', `${status.run.name}: ${what}; look who else writes to the queue`);
  }
  const { dir, run } = status;
  const lock = await claim(dir);
  try {
    const meanwhile = await finishedHere(status);
    if (meanwhile) return meanwhile;
    await unlink(join(dir, 'config.json')).catch(() => {}); // of a run that was begun here: its files are replaced
    const settings = storedSettingsOf({ ...run.request, out: dir });
    const placed: RunRecord = {
      ...record,
      settings,
      data: { ...record.data, source: settings.data },
      student: { ...record.student, ...(paths.student !== null && { path: paths.student }) },
      teacher: record.teacher && { ...record.teacher, ...(paths.teacher !== null && { path: paths.teacher }) },
    };
    for (const [name, content] of files) {
      if (name !== 'config.json' && name !== 'queue.json') await writeFileAtomic(join(dir, name), content);
    }
    await writeFileAtomic(
      join(dir, 'queue.json'),
      `${JSON.stringify({ format: 'idat-queue-1', ...history }, null, 2)}\n`,
    );
    if (settings.tensorboard) {
      await writeEvents(dir, join(dir, 'tensorboard'), await readMetrics(dir), await readTimings(dir));
    }
    await writeFileAtomic(join(dir, 'config.json'), `${JSON.stringify(placed, null, 2)}\n`); // last: it makes it a run
    return result!;
  } finally {
    await lock.release();
  }
}

/** In what a run differs from the one asked for; null where in nothing that counts. */
function strangeness(record: RunRecord, job: Job, { run }: RunStatus, files: RunFiles): string | null {
  const differing = differingSettings(run.settings, record.settings).filter(
    (name) => !/^(data|student|teacher)$/.test(name),
  );
  if (differing.length > 0) return `other settings: ${differing.join(', ')}`;
  if ((run.settings.teacher === null) !== (record.teacher === null)) return 'another teacher';
  if (job.student && record.student.sha256 !== job.student.sha256) return 'other weights of the student';
  const { teacher } = job;
  if (teacher !== null && typeof teacher !== 'number' && record.teacher?.sha256 !== teacher.sha256) {
    return 'other weights of the teacher';
  }
  // images that could not be read are in no split of the run, and in those that were asked for
  const unreadable = /"unreadable"/.test(new TextDecoder().decode(files.get(SPLIT_FILE) ?? new Uint8Array()));
  const sameImages = canonical(record.data.fingerprints) === canonical(job.images.fingerprints);
  return sameImages || unreadable ? null : 'other images';
}

/** In a sentence, where parts of a run were made on machines whose last bits may differ; null where not. */
export function mixedMachines({ sittings }: History): string | null {
  const kinds = new Set(
    sittings.map(({ machine, device, threads, microBatch }) => canonical([machine, device, threads, microBatch])),
  );
  if (kinds.size < 2) return null;
  const names = [...new Set(sittings.map(({ machine, device }) => `${machine} (${device})`))];
  const where = names.length > 1 ? names.join('; then ') : 'other threads or micro-batches';
  return `made on several machines, whose numbers may differ in rounding: ${where}`;
}
