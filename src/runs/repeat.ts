/** Doing again what a run did: its config.json as the settings of a new one. */
import { access, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isModelPath } from '../backbones/node/registry.js';
import { IdatError } from '../errors.js';
import { type FieldName, fieldRecords, flagOf } from '../settings/fields.js';
import { overlaid, type SomeSettings } from '../settings/overlay.js';
import type { RunRecord } from '../settings/record.js';
import { ROLES, type Role } from '../step/roles.js';
import type { DataSource } from './data-source.js';
import { IN_MEMORY } from './data-source.js';
import { type FineTuneControl, type FineTuneResult, fineTune } from './fine-tune.js';
import type { FineTuneRequest } from './request.js';
import { readRecordFile } from './run-directory.js';

/** What is done otherwise than by the run that is repeated. */
export type RepeatChanges = Partial<FineTuneRequest>;

/**
 * What is not taken from a run: where files are written, and how its machine was used. The file may be a stranger's, and what
 * suited that machine need not suit this one.
 */
const LEFT: ReadonlySet<string> = new Set<FieldName>(
  fieldRecords()
    .filter(([, { changes, group }]) => changes === 'speed' || group === 'files')
    .map(([name]) => name),
);

/**
 * Trains as a run did: on its data, from its weights, with all its settings that change results. Says when data or weights
 * are no longer the same. Where files go, the device, threads and the like are those of `changes`, or idat's own choice.
 *
 * @param config a run's config.json or its directory
 * @param changes settings that are to be others; what followed from them follows anew
 * @throws IdatError `run.missing`, `run.damaged`, `run.config` for a file that is no run's or has a field that cannot be;
 *   `run.weights`, `data.path.missing` where those are not there any more; as `fineTune`
 */
export async function repeatRun(
  config: string,
  changes: RepeatChanges = {},
  control: FineTuneControl = {},
): Promise<FineTuneResult> {
  const path = await configPath(config);
  const record = await readRecordFile(path);
  if (typeof record === 'string') {
    const what = record === 'absent' ? 'there is no such file' : 'is not the config.json of a run of idat';
    throw new IdatError('run.missing', `${path}: ${what}; give one such as runs/NAME/config.json`);
  }
  const { data, ...given } = changes;
  const settings = overlaid(repeated(record, dirname(path)), given);
  const source = data ?? dataOf(path, record);
  await checkWeights(path, settings, given);
  const { onProgress, onRecord } = control;
  const note = (text: string) => onProgress?.({ kind: 'note', text });
  note(`repeats ${path}: ${told(record, source)}`);
  const { microBatch, threads } = record.resolved;
  const bytes = `for its very bytes ask for micro-batch ${microBatch} and threads ${threads}`;
  note(`not taken from it: ${[...LEFT].map(flagOf).join(', ')}; ${bytes}`);
  return fineTune({ ...settings, data: source } as FineTuneRequest, {
    ...control,
    onRecord: (now) => {
      for (const difference of differences(record, now, changes)) note(difference);
      onRecord?.(now);
    },
  }).catch((error: unknown) => {
    if (!(error instanceof IdatError) || error.code !== 'data.path.missing' || data !== undefined) throw error;
    throw new IdatError(error.code, `${error.message} (the data of ${path})`, {
      cause: error,
      about: { config: path },
    });
  });
}

async function configPath(config: string): Promise<string> {
  const isFolder = await stat(config).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return resolve(isFolder ? join(config, 'config.json') : config);
}

/** A run's settings that are followed. Weights packed with it lie beside it. */
function repeated({ settings }: RunRecord, dir: string): SomeSettings {
  const followed = Object.fromEntries(
    Object.entries(settings).filter(([name, value]) => !LEFT.has(name) && name !== 'data' && value !== undefined),
  ) as SomeSettings;
  for (const role of ROLES) {
    const name = followed[role];
    if (typeof name === 'string' && /^weights\/[^/\\]+$/.test(name)) followed[role] = join(dir, name);
  }
  return followed;
}

function dataOf(path: string, { settings: { data } }: RunRecord): DataSource {
  if (data !== IN_MEMORY) return data;
  const what = 'its images were in the memory of a program; give data to train on';
  throw new IdatError('run.data', `${path}: ${what}`, { about: { config: path } });
}

async function checkWeights(path: string, settings: SomeSettings, given: SomeSettings): Promise<void> {
  for (const role of ROLES) {
    const name = settings[role];
    if (typeof name !== 'string' || given[role] !== undefined || settings.scratch || !isModelPath(name)) continue;
    const there = await access(name).then(
      () => true,
      () => false,
    );
    if (there) continue;
    const what = `${name}: the ${role}'s weights of ${path} are not there`;
    throw new IdatError('run.weights', what, { about: { config: path, role } });
  }
}

/** What it trains, on what. */
function told({ settings, data }: RunRecord, source: DataSource): string {
  const models = [settings.student, ...(settings.teacher === null ? [] : [settings.teacher])].join(', taught by ');
  return `${models}, on ${typeof source === 'string' ? source : data.source}`;
}

/** In what the new run's data and weights differ from those of before, unless others were asked for; a sentence each. */
function differences(then: RunRecord, now: RunRecord, changes: RepeatChanges): string[] {
  const sentences: string[] = [];
  const changedWeights = (role: Role) =>
    changes[role] === undefined && then[role] && now[role] && then[role].sha256 !== now[role].sha256;
  for (const role of ROLES.filter(changedWeights)) {
    const [before, after] = [then, now].map((record) => record[role]!.sha256.slice(0, 12));
    sentences.push(`the ${role}'s weights are others than that run began with (sha256 ${before}…, now ${after}…)`);
  }
  const others = Object.entries(then.data.fingerprints)
    .filter(([split, before]) => now.data.fingerprints[split] !== undefined && now.data.fingerprints[split] !== before)
    .map(([split]) => split);
  if (others.length > 0 && changes.data === undefined && changes.splitSeed === undefined) {
    sentences.push(`${then.data.source}: its images are others than that run had (${others.join(', ')})`);
  }
  const [range, rangeNow] = [then, now].map(({ resolved }) => resolved.int8Largest);
  if (range !== rangeNow && range !== undefined && rangeNow !== undefined) {
    sentences.push(`8-bit weights are rounded to ±${rangeNow} on this processor, and that run's were to ±${range}`);
  }
  return sentences.map((sentence) => `${sentence}; what comes out need not be what it came to`);
}
