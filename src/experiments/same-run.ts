/** Whether a run that is there is the one that is asked for. */
import { isModelPath } from '../backbones/node/registry.js';
import { fingerprintOf } from '../data/node/pixels.js';
import { IdatError } from '../errors.js';
import { fetching, openBackbone } from '../runs/backbones.js';
import { nameOfData, openData } from '../runs/data-source.js';
import type { OpenedRun } from '../runs/open-run.js';
import { type FineTuneRequest, storedSettingsOf } from '../runs/request.js';
import { readSplit } from '../runs/split-file.js';
import { differingSettings, type FineTuneSettings } from '../settings/config.js';
import { flagOf } from '../settings/fields.js';
import { planOf } from '../settings/plan.js';
import { selfDepth } from '../settings/self-teacher.js';
import { ROLES, type Role } from '../step/roles.js';
import type { RunControl } from '../train/progress.js';
import { withSplitOf } from '../train/run-split.js';

/**
 * In what a run differs from the one asked for, in words; nothing where it is that one. Settings count where they change
 * results; images and weights count by what is in them, wherever they lie now: a copy is the same, and another folder of the
 * same name is not. Files are looked at only where all settings are equal, as that takes as long as reading them.
 *
 * @throws IdatError as `storedSettingsOf`, and as `openData` and `openBackbone` for what is asked for
 */
export async function differencesToRun(
  run: OpenedRun,
  request: FineTuneRequest,
  control: RunControl,
): Promise<string[]> {
  const wanted = storedSettingsOf(request);
  const { settings } = run.record;
  const differing = differingSettings(wanted, settings).filter((name) => !isByContent(name, wanted, settings));
  if (differing.length > 0) return differing.map((name) => told(name, settings[name as keyof FineTuneSettings]));
  const roles: Role[] = [];
  for (const role of ROLES) if (!(await hasWeights(run, role, wanted, control))) roles.push(role);
  const others = roles.map((role) => told(role, settings[role], wanted[role], 'weights'));
  const sameData = await hasImages(run, request, control);
  return sameData ? others : [told('data', settings.data, wanted.data, 'images'), ...others];
}

/** What names a file: whether it is the same one, its bytes say. Whether there is a teacher at all is a setting as others are. */
const isByContent = (name: string, a: FineTuneSettings, b: FineTuneSettings): boolean =>
  name === 'data' ||
  name === 'student' ||
  (name === 'teacher' && [a, b].every(({ teacher }) => teacher !== null && selfDepth(teacher) === null));

function told(name: string, value: unknown, asked?: unknown, what?: string): string {
  const shown = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'not given');
  const since = what !== undefined && value === asked ? `, where other ${what} are now` : '';
  return `${flagOf(name)} ${shown}${since}`;
}

async function hasWeights(
  { record }: OpenedRun,
  role: Role,
  wanted: FineTuneSettings,
  control: RunControl,
): Promise<boolean> {
  const [name, then] = [wanted[role], record.settings[role]];
  const plan = planOf(wanted);
  const model = plan.models[role];
  if (name === null || then === null || !model || model.scratch) return name === then;
  // what a name stands for does not change
  if (!isModelPath(name) && !isModelPath(then)) return name === then;
  return (await openBackbone(model, plan, control)).sha256 === record[role]!.sha256;
}

/** Whether the run's splits are made of these images, all of them: of one more, another run would make other splits. */
async function hasImages(run: OpenedRun, { data }: FineTuneRequest, control: RunControl): Promise<boolean> {
  const { plan, record, dir, classes } = run;
  const fetch = plan.offline ? undefined : fetching(nameOfData(data), control);
  const dataset = await openData(data, { seed: plan.splitSeed }, fetch);
  try {
    if (JSON.stringify(dataset.classes) !== JSON.stringify(classes)) return false;
    const split = await readSplit(dir);
    const own = split ? withSplitOf(dir, dataset, split) : { dataset, others: 0 };
    if (own.others > 0) return false;
    for (const name of plan.protocol.splits) {
      const readable = own.dataset[name].filter((item) => !split?.unreadable?.[name]?.includes(item.name));
      if ((await fingerprintOf(readable, control.signal)) !== record.data.fingerprints[name]) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof IdatError && error.code === 'run.changed') return false; // an image of the run is not there
    throw error;
  } finally {
    await dataset.close();
  }
}
