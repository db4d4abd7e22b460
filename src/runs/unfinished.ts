/** Saying that a run has not ended: what is used of it is what it had at its last stop, not what its protocol will choose. */
import type { RunControl } from '../train/progress.js';
import type { OpenedRun } from './open-run.js';

/** Notes it where it is so. @throws IdatError `run.damaged` */
export async function noteUnfinished(run: OpenedRun, { onProgress }: RunControl): Promise<void> {
  if (run.result || !onProgress) return;
  const epochs = (await run.metrics()).length;
  const what = `${run.dir}: this run has not ended; its student is as it was after ${epochs} epochs`;
  onProgress({ kind: 'note', code: 'run.unfinished', text: `${what}, which is not yet what its protocol gives` });
}
