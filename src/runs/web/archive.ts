/** A run as a zip of its directory: taken out of the browser to go on elsewhere, and brought in from there. */
import { IdatError } from '../../errors.js';
import { readZip, writeZip } from '../../files/web/zip.js';
import { readClasses, readRecord } from '../../train/run-files.js';
import { createStored, dropStored, freeName, openStored, withRunLock } from './storage.js';

/** What of a run directory a tab keeps; the rest, such as profiles and cards, is passed over. */
const FILES = [
  'classes.json',
  'split.json',
  'state.safetensors',
  'metrics.jsonl',
  'timings.jsonl',
  'student.safetensors',
  'teacher.safetensors',
  'result.json',
  'config.json', // last: it is what makes the folder a run
];
/** A state of a whole ViT-L has 3.7 GB; a tab holds no more than this. */
const MAX_FILE_BYTES = 2 ** 31;

/** @returns a zip with one folder of the run's name in it @throws IdatError `run.missing`, `run.storage` */
export async function exportStored(name: string): Promise<Blob> {
  const run = await openStored(name);
  const files = await run.files();
  return writeZip(files.map((file) => ({ name: `${name}/${file.name}`, bytes: file.bytes })));
}

/**
 * @param name of the run here; default: as in the zip, with a number where there is one already
 * @returns its name here
 * @throws IdatError `run.archive` when there is no run in the zip, `run.exists`, `run.locked`, and as `readRecord`
 */
export async function importStored(zip: Blob, name?: string): Promise<string> {
  const wrong = (what: string, cause?: unknown) =>
    new IdatError('run.archive', `the zip of a run: ${what}; pack the run directory again`, { cause });
  const entries = await readZip(zip).catch((error: Error) => {
    throw wrong(error.message, error);
  });
  const configs = entries.filter((entry) => /(^|\/)config\.json$/.test(entry.name));
  const [config] = configs;
  if (!config || configs.length > 1) throw wrong(`${config ? 'several runs are' : 'no run is'} in it`);
  const folder = config.name.slice(0, -'config.json'.length);
  const wanted = name ?? (await freeName(folder.split('/').at(-2) ?? 'run'));
  return withRunLock(wanted, async () => {
    const run = await createStored(wanted);
    try {
      for (const file of FILES) {
        const entry = entries.find((one) => one.name === folder + file);
        if (!entry) continue;
        if (entry.bytes > MAX_FILE_BYTES) throw wrong(`${entry.name} is larger than a tab holds`);
        const bytes = await entry.read().catch((error: Error) => {
          throw wrong(`${entry.name} is damaged (${error.message})`, error);
        });
        await run.write(file, bytes);
      }
      await readClasses(run, (await readRecord(run)).classes);
      return run.name;
    } catch (error) {
      await dropStored(run.name);
      throw error;
    }
  });
}
