/** The stored runs of an earlier version, somewhere they can be opened. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the runs were made; runs hold absolute paths. */
const MADE_IN = '/idat-fixture';

export const fixtureOf = (version: string): string =>
  fileURLToPath(new URL(`./fixtures/run-${version}`, import.meta.url));

/** Copies what is stored of a version into a folder and sets the paths right. */
export function copyRuns(version: string, folder: string): { stopped: string; finished: string } {
  cpSync(fixtureOf(version), folder, { recursive: true });
  const runs = { stopped: join(folder, 'stopped'), finished: join(folder, 'finished') };
  for (const dir of Object.values(runs)) {
    const path = join(dir, 'config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(MADE_IN, folder));
  }
  return runs;
}
