/** Writes a profile where its reader finds it. */
import { join } from 'node:path';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { profileChart } from '../report/profile-chart.js';
import type { StepProfile } from '../report/profile-record.js';
import { profileMarkdown } from '../report/profile-tables.js';

/**
 * Writes profile.json, profile.md and profile.svg into a folder that exists.
 * @throws IdatError `files.write`
 */
export async function writeProfile(folder: string, profile: StepProfile): Promise<void> {
  await writeFileAtomic(join(folder, 'profile.json'), `${JSON.stringify(profile, null, 2)}\n`);
  await writeFileAtomic(join(folder, 'profile.md'), profileMarkdown(profile));
  await writeFileAtomic(join(folder, 'profile.svg'), profileChart(profile));
}
