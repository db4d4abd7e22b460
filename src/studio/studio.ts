/** What the studio does, apart from how it is asked: its folder, what was begun, and who is told of it. */
import { mkdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AnalysisName } from '../analysis/node/analyse.js';
import { IdatError } from '../errors.js';
import { inChild, inProcesses, resumeInProcess } from '../experiments/run-in-process.js';
import type { RunStatus } from '../experiments/schedule.js';
import { sweep } from '../experiments/sweep.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { shellWord } from '../report/repeat-command.js';
import type { ListedRun } from '../runs/list-runs.js';
import { openRun } from '../runs/open-run.js';
import { forgetRemoved, removedRuns, removeRun, restoreRun } from '../runs/remove-run.js';
import { readMetrics, readTimings } from '../runs/run-directory.js';
import { writeNotes } from '../runs/run-notes.js';
import { secondsLeft } from '../runs/time-left.js';
import type { EpochMetrics } from '../settings/record.js';
import type { Progress } from '../train/progress.js';
import { EventHub } from './event-hub.js';
import { type JobControl, Jobs } from './jobs.js';
import { OpenClassifiers } from './open-classifiers.js';
import type { ExportForm, LiveStep, Predicted, ShownJob, ShownRun, StudioEvent, TrainForm } from './page/api.js';
import { QueueWatch } from './queue-watch.js';
import { StudioFolder, shownRun } from './studio-folder.js';
import type { Task } from './task-process.js';
import { askedBy, planPath, takePlace } from './train-form.js';
import { type UploadLimits, Uploads } from './uploads.js';

export interface StudioOptions {
  /** Further folders from which a page may name data and weights. */
  readonly dataRoots?: readonly string[];
  readonly uploadLimits?: UploadLimits;
  /** Between two looks at the folder. */
  readonly intervalMs?: number;
  /** Address of a queue that pages may look at. */
  readonly queue?: string;
}

/** What was removed can be had again for so long. */
const KEPT_MS = 7 * 24 * 60 * 60_000;

export class Studio {
  readonly hub = new EventHub();
  readonly classifiers = new OpenClassifiers();
  readonly uploads: Uploads;
  readonly jobs = new Jobs((job, event) => this.onJob(job, event));
  /** Epochs that pages were told of a run. */
  private readonly told = new Map<string, number>();

  private constructor(
    readonly folder: StudioFolder,
    readonly queue: QueueWatch | null,
    limits: UploadLimits | undefined,
  ) {
    this.uploads = new Uploads(folder.root, limits);
    folder.onChange(({ runs, gone }) => {
      this.hub.tell({ kind: 'runs', runs: runs.map(shownRun), gone });
      for (const run of runs) if (this.hub.watched().has(run.name)) void this.tellEpochs(run);
    });
  }

  /** @throws IdatError `run.folder`, `config.queue` */
  static async open(
    folder: string,
    { dataRoots = [], uploadLimits, intervalMs, queue }: StudioOptions = {},
  ): Promise<Studio> {
    const watch = queue === undefined ? null : new QueueWatch(queue);
    await mkdir(folder, { recursive: true }).catch(() => {}); // what is wrong with it shows when it is opened
    await forgetRemoved(folder, KEPT_MS);
    const opened = await StudioFolder.open(folder, { dataRoots, ...(intervalMs !== undefined && { intervalMs }) });
    return new Studio(opened, watch, uploadLimits);
  }

  /** Saves what is at work, and ends. */
  async close(): Promise<void> {
    await this.jobs.close();
    this.hub.close();
    this.folder.close();
    await this.uploads.close();
    await this.classifiers.close();
    await this.queue?.close();
  }

  runs(): ShownRun[] {
    return [...this.folder.runs.values()].map(shownRun);
  }

  /** What a page has to know when it begins to listen. */
  async beginning(run: string | null): Promise<StudioEvent[]> {
    const all: StudioEvent = {
      kind: 'all',
      ...{ runs: this.runs(), jobs: this.jobs.all, removed: await removedRuns(this.folder.root) },
    };
    const listed = run === null ? undefined : this.folder.runs.get(run);
    if (!listed) return [all];
    return [all, await this.epochsOf(listed, 0)];
  }

  private async epochsOf(run: ListedRun, from: number): Promise<Extract<StudioEvent, { kind: 'epochs' }>> {
    const epochs = await readMetrics(run.dir).catch((): EpochMetrics[] => []);
    const timings = await readTimings(run.dir).catch(() => []);
    const left =
      run.state === 'running' ? secondsLeft(run.progress, timings, Date.now() - Date.parse(run.changed)) : null;
    const first = epochs.length < from ? 0 : from; // it was begun anew
    return { kind: 'epochs', from: first, epochs: epochs.slice(first), secondsLeft: left };
  }

  private async tellEpochs(run: ListedRun): Promise<void> {
    const event = await this.epochsOf(run, this.told.get(run.name) ?? 0);
    if (this.told.size > 1000) this.told.clear();
    // one that is told again is no harm: pages know by its place which epoch it is
    this.told.set(run.name, Math.max(0, event.from + event.epochs.length - 1));
    this.hub.tell(event, run.name);
  }

  private onJob(job: ShownJob, event?: Progress): void {
    this.hub.tell({ kind: 'job', job });
    if (event) this.onProgress(job.about, event);
  }

  private onProgress(name: string, event: Progress): void {
    if (event.kind === 'epoch') void this.folder.look().catch(() => {});
    if (event.kind !== 'step') return;
    const { phase, epoch, epochs, step, steps, losses, trainAccuracy, lr, secondsLeft: left, imagesPerSecond } = event;
    const live: LiveStep = {
      ...{ phase, epoch, epochs, step, steps, losses, trainAccuracy, lr, imagesPerSecond },
      secondsLeft: left,
    };
    this.hub.tell({ kind: 'step', step: live }, name);
  }

  /** Begins what a form asks for. @throws IdatError with issues at the form's fields */
  async start(form: TrainForm): Promise<ShownJob> {
    const asked = await askedBy(form, this.folder, () => {});
    if (asked.kind === 'sweep') {
      await mkdir(asked.out, { recursive: true });
      await writeFileAtomic(planPath(asked.out), asked.text);
      return this.startSweep(planPath(asked.out));
    }
    const dir = await takePlace(this.folder, asked.base);
    const undo = async () => {
      await rmdir(dir).catch(() => {}); // that of a run which never began is empty
      await this.folder.look().catch(() => {});
    };
    return this.jobs.add({
      ...{ kind: 'train', about: this.folder.nameOf(dir)!, command: asked.command(this.folder.typed(dir)) },
      work: async (control) => {
        try {
          await inProcesses([])(asked.request, dir, runnerOf(control));
        } finally {
          await undo();
        }
      },
      undo,
    });
  }

  /** A sweep by the file of its plan, which makes what of it is not there. */
  startSweep(plan: string): ShownJob {
    const out = dirname(plan);
    return this.jobs.add({
      ...{
        kind: 'sweep',
        about: this.folder.nameOf(out)!,
        command: `idat sweep ${shellWord(this.folder.typed(plan))}`,
      },
      work: async ({ signal, says, note }) => {
        const onStatus = (status: RunStatus, all: readonly RunStatus[]) => {
          if (status.state === 'failed' && status.error) note(`${status.run.name}: ${status.error.message}`);
          const done = all.filter(({ state }) => state === 'done').length;
          const fraction = all.reduce((sum, one) => sum + (one.state === 'failed' ? 1 : one.fraction), 0) / all.length;
          says(`${done} of ${all.length} runs done`, fraction);
        };
        const onProgress = (event: Progress, { name }: { name: string }) => {
          const run = this.folder.nameOf(join(out, name));
          if (run !== null) this.onProgress(run, event);
        };
        const { failed, results } = await sweep(plan, { out, signal, onStatus, onProgress });
        if (failed.length > 0) {
          throw new IdatError(
            'sweep.failed',
            `${failed.length} runs failed, ${results.length} are done: ${failed[0]!.message}`,
          );
        }
      },
    });
  }

  /** Goes on with a run that was stopped. @throws IdatError `run.locked` when somebody is at work on it */
  resume(name: string): ShownJob {
    const { dir, state } = this.folder.run(name);
    this.refuseBusy(name, state);
    return this.jobs.add({
      ...{ kind: 'resume', about: name, command: `idat resume ${shellWord(this.folder.typed(dir))}` },
      work: async (control) => {
        await this.classifiers.release(dir);
        await resumeInProcess(dir, runnerOf(control)).finally(() => this.folder.look());
      },
    });
  }

  analyse(name: string, only: AnalysisName): ShownJob {
    const { dir } = this.folder.run(name);
    const command = `idat analyse ${shellWord(this.folder.typed(dir))} --only ${only}`;
    return this.task('analyse', name, command, { kind: 'analyse', dir, only });
  }

  report(name: string): ShownJob {
    const { dir } = this.folder.run(name);
    return this.task('report', name, `idat report ${shellWord(this.folder.typed(dir))}`, { kind: 'report', dir });
  }

  /** @returns the job, and the folder that it makes */
  async export(name: string, { format, int8, adapterInput }: ExportForm): Promise<ShownJob> {
    const { dir } = this.folder.run(name);
    const base = `${name.replaceAll('/', '-')}-${format === 'onnx' ? 'onnx' : 'web'}${int8 ? '-int8' : ''}`;
    const out = await freePlaceBelow(join(this.folder.root, 'exports'), base);
    const flags = [
      `--out ${shellWord(this.folder.typed(out))}`,
      ...(format === 'onnx' ? [] : [`--format ${format}`]),
      ...(int8 ? ['--quantize int8'] : []),
      ...(adapterInput ? ['--adapter-input'] : []),
    ];
    const options = { out, format, ...(int8 && { quantize: 'int8' as const }), ...(adapterInput && { adapterInput }) };
    await mkdir(dirname(out), { recursive: true });
    const command = `idat export ${shellWord(this.folder.typed(dir))} ${flags.join(' ')}`;
    return this.task('export', name, command, { kind: 'export', dir, options });
  }

  private task(kind: 'analyse' | 'report' | 'export', about: string, command: string, task: Task): ShownJob {
    return this.jobs.add({
      ...{ kind, about, command },
      work: async (control) => {
        const says = await inChild<Task, string>('dist/studio/task-process.js', task, about, runnerOf(control));
        if (says !== '') control.note(says);
      },
    });
  }

  async predict(name: string, image: Uint8Array): Promise<Predicted> {
    const { dir, changed } = this.folder.run(name);
    return this.classifiers.predict(dir, changed, image);
  }

  async note(name: string, notes: { tags: readonly string[]; note: string }): Promise<ShownRun> {
    const { dir } = this.folder.run(name);
    await writeNotes(dir, notes);
    await this.folder.look();
    return shownRun(this.folder.run(name));
  }

  /** Puts runs aside, those before the first that cannot be; pages are told of these all the same, to undo it. */
  async remove(names: readonly string[]): Promise<void> {
    try {
      for (const name of names) {
        const run = this.folder.run(name);
        this.refuseBusy(name, run.state);
        await this.classifiers.release(run.dir);
        await removeRun(this.folder.root, run);
      }
    } finally {
      await this.afterRemoving();
    }
  }

  async restore(id: string): Promise<void> {
    await restoreRun(this.folder.root, id);
    await this.afterRemoving();
  }

  private async afterRemoving(): Promise<void> {
    await this.folder.look();
    this.hub.tell({ kind: 'removed', removed: await removedRuns(this.folder.root) });
  }

  /** Runs with their settings and epochs. @throws IdatError `run.missing`, as `openRun` */
  async opened(names: readonly string[]) {
    return Promise.all(
      names.map(async (name) => {
        const listed = this.folder.run(name);
        const run = await openRun(listed.dir);
        return { listed, run, epochs: await run.metrics() };
      }),
    );
  }

  private refuseBusy(name: string, state: ListedRun['state']): void {
    const job = this.jobs.activeOn(name);
    if (state !== 'running' && !job) return;
    throw new IdatError('run.locked', `${name}: is at work; stop it first${job ? '' : ' where it was started'}`);
  }
}

const runnerOf = ({ signal, onProgress }: JobControl) => ({ signal, onProgress });

async function freePlaceBelow(folder: string, base: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (let n = 1; ; n++) {
    const out = join(folder, `${base}${n === 1 ? '' : `-${n}`}`);
    // an export makes its folder itself, and refuses one that is there
    const free = await mkdir(out).then(
      () => true,
      () => false,
    );
    if (free) {
      await rmdir(out);
      return out;
    }
  }
}
