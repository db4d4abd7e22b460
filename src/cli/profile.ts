/** What `--profile` adds to a run. */
import { join } from 'node:path';
import type { StepProfile } from '../report/profile-record.js';
import type { FineTuneControl } from '../runs/fine-tune.js';
import type { RunControl } from '../train/progress.js';
import { shortPath } from './describe-run.js';

/** Writes the profile as soon as it is taken, and says where. */
export function withProfile(control: RunControl): FineTuneControl {
  return {
    ...control,
    onProfile: async (profile, runDir) => {
      await writeProfile(runDir, profile);
      const text = `profile of ${profile.steps} steps: ${shortPath(join(runDir, 'profile.md'))}, profile.svg beside it`;
      control.onProgress?.({ kind: 'note', text });
    },
  };
}

/** Loads the chart library only where there is something to draw: it takes longer than all else at the start. */
export async function writeProfile(folder: string, profile: StepProfile): Promise<void> {
  const report = await import('./write-profile.js');
  await report.writeProfile(folder, profile);
}
