/** What `--profile` adds to a run. */
import { join } from 'node:path';
import { writeProfile } from '../report/profile.js';
import type { RunControl } from '../train/progress.js';
import { shortPath } from './describe-run.js';

/** Writes the profile as soon as it is taken, and says where. */
export function withProfile(control: RunControl): RunControl {
  return {
    ...control,
    onProfile: async (profile, runDir) => {
      await writeProfile(runDir, profile);
      const text = `profile of ${profile.steps} steps: ${shortPath(join(runDir, 'profile.md'))}, profile.svg beside it`;
      control.onProgress?.({ kind: 'note', text });
    },
  };
}
