/**
 * `idat verify DIR`: replays a directory of reference numbers through the code that training runs, and says how far
 * each quantity is off.
 *
 * @see tools/make-reference, which makes such directories
 */
import { IdatError } from '../errors.js';
import { startRuntime } from '../runtime/node/start.js';
import type { Device } from '../runtime/runtime.js';
import { Directory, deviationSchema } from './directory.js';
import { replayPreprocessing, replaySchedules } from './plain.js';
import { type Replay, replayOneStep, replayRuns } from './replay.js';
import { BOUNDS, type Deviation, type Quantity, type Row } from './row.js';
import { replaySwin } from './swin.js';
import { replayTensorNames } from './tensor-names.js';

export { BOUNDS, formatRows, type Row } from './row.js';

export interface VerifyOptions {
  readonly device?: Device | undefined;
  readonly threads?: number | undefined;
  /** Called with each row as soon as it is known. */
  readonly onRow?: ((row: Row) => void) | undefined;
}

/**
 * Replays every section that the directory has. Sections that are absent become rows `not covered`, which do not fail.
 *
 * @throws IdatError when a file is damaged or contradicts itself, or the directory holds nothing to replay
 */
export async function verify(
  dir: string,
  { device, threads, onRow }: VerifyOptions = {},
): Promise<{ rows: Row[]; passed: boolean }> {
  const directory = await Directory.open(dir);
  const pytorch = (await directory.json('float32_deviation.json', deviationSchema)) ?? {};
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    onRow?.(row);
  };
  const notCovered = (quantity: string, detail: string) =>
    add({
      quantity,
      detail,
      deviation: null,
      kind: 'exact',
      bound: null,
      pytorch: null,
      ok: true,
      status: 'not covered',
    });
  const report = (quantity: Quantity, variant: string, found: Deviation | number) => {
    const { value, at } = typeof found === 'number' ? { value: found, at: '' } : found;
    const [kind, bound] = BOUNDS[quantity];
    const ok = value <= bound; // false for NaN
    add({
      quantity,
      detail: at ? `${variant}: ${at}` : variant,
      deviation: value,
      kind,
      bound,
      pytorch: pytorch[quantity]?.[kind === 'absolute' ? 'max_abs' : 'max_rel'] ?? null,
      ok,
      status: ok ? 'ok' : 'failed',
    });
  };
  const absent = (section: string, reason = 'not present') => notCovered(section, reason);

  const runtime = await startRuntime({ ...(device && { device }), ...(threads && { threads }) });
  try {
    const replay: Replay = { directory, runtime, report, absent };
    await replaySchedules(replay);
    await replayPreprocessing(replay);
    await replayOneStep(replay, 'one_step', 'one step');
    await replayOneStep(replay, 'one_step_wide', 'one step, wide adapters');
    await replayOneStep(replay, 'drop_path', 'drop path');
    await replayRuns(replay);
    await replaySwin(replay);
    await replayTensorNames(replay);
  } finally {
    await runtime.close();
  }
  if (rows.every((row) => row.status === 'not covered')) {
    throw new IdatError('verify.empty', `${dir}: there is nothing to verify, not one section of a reference`);
  }
  return { rows, passed: rows.every((row) => row.ok) };
}
