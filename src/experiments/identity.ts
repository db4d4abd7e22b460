/**
 * Which runs are one and the same: those whose settings that change results are equal, on equal images and equal weights,
 * wherever the files lie and whoever made them.
 */
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Backbone } from '../backbones/backbone.js';
import { fingerprintOf } from '../data/node/index.js';
import { sha256 } from '../files/node/sha256.js';
import type { FetchControl } from '../hub/fetch.js';
import { openBackbone } from '../runs/backbones.js';
import { openData } from '../runs/data-source.js';
import { readRecord, readResult } from '../runs/run-directory.js';
import { canonical, type FineTuneSettings, resultSettings } from '../settings/config.js';
import { type ModelPlan, planOf } from '../settings/plan.js';
import { PROTOCOLS } from '../settings/protocols.js';
import { factsOf, type RunRecord, type RunResult } from '../settings/record.js';
import { selfDepth } from '../settings/self-teacher.js';
import { ROLES } from '../step/roles.js';
import { backboneChange } from '../train/sources.js';

/** A run that lies somewhere, finished or not. */
export interface FoundRun {
  readonly dir: string;
  readonly record: RunRecord;
  readonly result: RunResult | null;
}

/** What a run is of, in 16 hex digits: settings that change results, images of each split, weights of each model. */
export const identityOf = (record: RunRecord): string => sha256(canonical(factsOf(record))).slice(0, 16);

/** Of the settings that change results those that name no file. */
function settingsKey(settings: FineTuneSettings): string {
  const { data: _, student: __, teacher, ...deciding } = resultSettings(settings);
  return canonical({ ...deciding, taught: selfDepth(settings.teacher) ?? teacher !== null });
}

/** Folders within folders in which runs are looked for. */
const DEEPEST = 6;

/** All runs below some folders. Folders that are not there, and runs that cannot be read, are none. */
export async function findRuns(folders: readonly string[]): Promise<FoundRun[]> {
  const found: FoundRun[] = [];
  const visit = async (dir: string, depth: number): Promise<void> => {
    const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
    if (entries.some(({ name }) => name === 'config.json')) {
      const run = await openFound(dir).catch(() => null);
      if (run) found.push(run);
      return;
    }
    if (depth === DEEPEST) return;
    for (const entry of entries) if (entry.isDirectory()) await visit(join(dir, entry.name), depth + 1);
  };
  for (const folder of new Set(folders.map((one) => resolve(one)))) await visit(folder, 0);
  return found;
}

/** The run of a directory. @throws IdatError `run.…` where it is none, or damaged */
export async function openFound(dir: string): Promise<FoundRun> {
  const record = await readRecord(dir);
  return { dir, record, result: await readResult(dir, record) };
}

/** Finds the runs that were asked for among those that are there. */
export class RunIndex {
  private readonly byKey = new Map<string, FoundRun[]>();
  /** Each data set is hashed and each backbone opened once, and only when a run's settings make it worth the while. */
  private readonly data = new Map<string, Promise<Record<string, string> | null>>();
  private readonly models = new Map<string, Promise<Backbone | null>>();

  constructor(runs: readonly FoundRun[]) {
    for (const run of runs) {
      const key = settingsKey(run.record.settings);
      this.byKey.set(key, [...(this.byKey.get(key) ?? []), run]);
    }
  }

  /**
   * A finished run that is the one wanted. In its own place it is known by its settings, as it is when it is resumed;
   * elsewhere its images and weights must be the same by what they hold.
   * @param place its directory, if it was made here
   */
  async finished(settings: FineTuneSettings, place: string): Promise<FoundRun | null> {
    const runs = (this.byKey.get(settingsKey(settings)) ?? []).filter(({ result }) => result !== null);
    const wanted = canonical(resultSettings(settings));
    const here = runs.find(({ dir, record }) => dir === place && canonical(resultSettings(record.settings)) === wanted);
    if (here) return here;
    for (const run of runs) if (await this.isSame(settings, run.record)) return run;
    return null;
  }

  /** One that was begun, with the same files by their names: going on with it checks what they hold. */
  begun(settings: FineTuneSettings, below: string): FoundRun | null {
    const wanted = canonical(resultSettings(settings));
    const runs = this.byKey.get(settingsKey(settings)) ?? [];
    const isWanted = ({ dir, record, result }: FoundRun) =>
      !result && dir.startsWith(join(resolve(below), '/')) && canonical(resultSettings(record.settings)) === wanted;
    return runs.find(isWanted) ?? null;
  }

  private async isSame(settings: FineTuneSettings, record: RunRecord): Promise<boolean> {
    const plan = planOf(settings);
    for (const role of ROLES) {
      const [model, then] = [plan.models[role], record[role]];
      if (!model || !then) continue;
      const now = await this.backbone(model, settings);
      // weights that are not on this disk are known by their names alone
      if (now ? backboneChange(then, now) !== null : settings[role] !== record.settings[role]) return false;
    }
    const images = await this.fingerprints(settings);
    if (!images) return settings.data === record.settings.data;
    return canonical(images) === canonical(record.data.fingerprints);
  }

  private backbone(model: ModelPlan, { seed }: FineTuneSettings): Promise<Backbone | null> {
    const { name, firstBlocks, scratch, imageSize, layerNormEps } = model;
    const key = canonical([name, firstBlocks, scratch, imageSize, layerNormEps, scratch && seed]);
    const known = this.models.get(key) ?? openBackbone(model, { offline: true, seed }, {}).catch(() => null);
    this.models.set(key, known);
    return known;
  }

  private fingerprints(settings: FineTuneSettings): Promise<Record<string, string> | null> {
    const { splitSeed, protocol, data } = settings;
    const key = canonical([data, splitSeed, protocol]);
    const known = this.data.get(key) ?? fingerprintsOf(settings).catch(() => null);
    this.data.set(key, known);
    return known;
  }
}

/** Of each split that a run reads. @param fetch how a data set of the hub is fetched @throws IdatError as `openData` */
export async function fingerprintsOf(
  { data, protocol, splitSeed }: Pick<FineTuneSettings, 'data' | 'protocol' | 'splitSeed'>,
  fetch?: FetchControl,
): Promise<Record<string, string>> {
  const dataset = await openData(data, { seed: splitSeed }, fetch);
  try {
    const prints: Record<string, string> = {};
    for (const split of PROTOCOLS[protocol].splits) prints[split] = await fingerprintOf(dataset[split]);
    return prints;
  } finally {
    await dataset.close();
  }
}
