/** What the page does besides taking in pictures: it takes up what there was, trains, and opens what was trained. */
import {
  exportRun,
  fineTune,
  IdatError,
  importRun,
  listRuns,
  type Progress,
  removeRun,
  resume,
  type WebResult,
} from '../browser.js';
import { BEGUN, followed } from './follow.js';
import { prepared } from './intake.js';
import { download, keepPace, storedPace } from './keep.js';
import { addressOf, choicesOver, modelsOf, STUDENT, settingsOf, TEACHER, withMeasured } from './lengths.js';
import { Pictures } from './pictures.js';
import {
  CHOICES,
  type Choices,
  cameAsZip,
  dataOf,
  inClasses,
  lineOf,
  type OwnModel,
  type Point,
  type ProjectRun,
} from './project.js';
import { type Runs, runsInWorker } from './run-client.js';
import type { Rgba, Seen } from './run-protocol.js';
import { alone, NOTHING_KEPT, openShelf } from './shelf.js';
import { NOTHING_YET, type State } from './state.js';
import { Store } from './store.js';

const NOT_MOVED = 'Your classes seem to differ in where something is, so pictures are not moved while training.';

export class App extends Store {
  override state: State = { ...NOTHING_YET, pace: storedPace() };
  readonly runs: Runs = runsInWorker();
  readonly pictures = new Pictures(this, { unpack: this.runs, prepare: prepared });
  #stop = new AbortController();

  /** Takes up what an earlier visit left. */
  async start(): Promise<void> {
    const shelf = await openShelf();
    if (shelf.lasting) await alone(() => this.set({ elsewhere: true }));
    this.shelf = shelf;
    const { project, pictures, models } = await shelf.load().catch(() => NOTHING_KEPT);
    this.set({
      ...{ ready: true, elsewhere: false, lasting: shelf.lasting },
      ...{ project, pictures, models, points: project.points },
    });
    const homed = new Set(inClasses(project.classes, pictures));
    this.pictures.removePictures(pictures.filter((one) => !homed.has(one)).map(({ id }) => id));
    if (!shelf.lasting) {
      this.notice(
        'This browser keeps nothing for this page, as private windows do: pictures stay until the tab is closed, and training needs a window that keeps files.',
      );
    }
    if (!project.run) return;
    const there = await listRuns().catch((error: unknown) => this.problem(error));
    if (!there) return;
    const run = lineOf(project.run).find(({ name }) => there.includes(name)) ?? null;
    await this.#show(run, run === project.run ? project.points : []);
  }

  choose(change: Partial<Choices>): void {
    this.setProject({ choices: { ...this.state.project.choices, ...change } });
  }

  // training

  async train(): Promise<void> {
    const { project, pictures } = this.state;
    const { classes, choices, run: current } = project;
    const { paths, files } = dataOf(classes, pictures);
    // one that was stopped is given up for the new one
    const before = current?.result ? current : (current?.before ?? null);
    await this.#work(async () => {
      const name = await freeRunName();
      const run: ProjectRun = { name, paths, result: null, classes: [], choices, before };
      const begin = () => {
        if (current && current !== before) void this.#remove(current);
        this.setProject({ run, points: [] });
        this.set({ points: [], seen: new Map(), model: 'none' });
      };
      const settings = { ...settingsOf(choices), data: files, dataName: 'pictures', run: name };
      const weights = this.#weights(choices);
      return { run, begin, go: (control) => fineTune({ ...settings, weights }, control) };
    });
  }

  /** Goes on with a run that was stopped, or whose tab was closed. */
  async goOn(): Promise<void> {
    const { run } = this.state.project;
    if (!run) return;
    const blobs = new Map(this.state.pictures.map(({ id, blob }) => [id, blob]));
    const files = run.paths.flatMap(({ path, id }) => {
      const blob = blobs.get(id);
      return blob ? [{ path, blob }] : [];
    });
    if (files.length < run.paths.length) {
      const missing = run.paths.length - files.length;
      this.notice(
        `${missing} of the pictures this training began with ${missing === 1 ? 'is' : 'are'} gone; train anew with those that are there.`,
      );
      return;
    }
    const sources = { data: files, weights: this.#weights(run.choices) };
    await this.#work(async () => ({ run, begin: () => {}, go: (control) => resume(run.name, sources, control) }));
  }

  /** Models of the visitor's own: the larger one learns, a second one teaches it. */
  async takeModels(files: readonly File[]): Promise<void> {
    const [student, teacher, ...others] = [...files].sort((a, b) => b.size - a.size);
    if (!student || others.length > 0 || files.some(({ name }) => !/\.safetensors$/.test(name))) {
      this.notice('Choose one model, or one and a smaller one that teaches it, as .safetensors files.');
      return;
    }
    // those of the runs that are there stay with them
    const needed = new Set(lineOf(this.state.project.run).flatMap(({ choices }) => Object.values(modelsOf(choices))));
    const kept = this.state.models.filter(({ name }) => needed.has(name));
    const brought: OwnModel[] = [];
    for (const file of teacher ? [student, teacher] : [student]) brought.push(await named(file, [...kept, ...brought]));
    const names = brought.map(({ name }) => name);
    const models = [...brought, ...kept.filter(({ name }) => !names.includes(name))];
    this.set({ models });
    this.choose({ models: 'own', own: { student: names[0]!, teacher: names[1] ?? null } });
    await this.keep((shelf) => shelf.saveModels(models));
  }

  /** Where the weights of each model are: the page's own are beside it. */
  #files(): Readonly<Record<string, Blob | string>> {
    const own = this.state.models.map(({ name, blob }) => [name, blob] as const);
    return {
      ...Object.fromEntries([STUDENT, TEACHER].map((name) => [name, addressOf(name)])),
      ...Object.fromEntries(own),
    };
  }

  #weights(choices: Choices) {
    const files = this.#files();
    const { student, teacher } = modelsOf(choices);
    return { student: files[student]!, ...(teacher !== null && { teacher: files[teacher]! }) };
  }

  /** One at a time. @param prepare what is to be done, when this one has its turn */
  async #work(prepare: () => Promise<Work>): Promise<void> {
    if (this.state.training || this.state.taking) return;
    this.#stop = new AbortController();
    this.set({ training: BEGUN, unfinished: false });
    let written = false;
    try {
      const { run, begin, go } = await prepare();
      const onProgress = (event: Progress) => {
        if (event.kind === 'note' && event.code === 'moves.none') this.notice(NOT_MOVED, 'note');
        if (!written && (event.kind === 'estimate' || event.kind === 'step')) {
          written = true;
          begin();
        }
        this.#follow(event);
      };
      const result = await go({ signal: this.#stop.signal, onProgress });
      if (!written) begin();
      const { classes, run: _, ...numbers } = result;
      const ended: ProjectRun = { ...run, classes, result: numbers, before: null };
      const learnt = run.paths.filter(({ held }) => !held).length;
      const pace = withMeasured(this.state.pace, run.choices, learnt, result.seconds);
      keepPace(pace);
      this.set({ training: null, pace });
      this.setProject({ run: ended });
      for (const old of lineOf(run.before)) await this.#remove(old);
      await this.#openModel(ended);
    } catch (error) {
      this.set({ training: null });
      if (error instanceof IdatError && error.code === 'run.interrupted') {
        this.#takeUp();
        this.notice(
          written
            ? 'Stopped, and saved: “Go on” takes it up from here, after this tab was closed as well.'
            : 'Stopped before training began.',
          'note',
        );
        return;
      }
      this.problem(error);
      this.#takeUp();
    }
  }

  /** After a training that did not end: what was there before is there again. */
  #takeUp(): void {
    const { run } = this.state.project;
    this.set({ unfinished: run !== null && run.result === null });
  }

  /** Gives up a training that was stopped, or a model that was opened, for what there was before. */
  async discard(): Promise<void> {
    const { run } = this.state.project;
    if (!run || this.state.training || this.state.taking || (run.result && !cameAsZip(run))) return;
    if (await this.#remove(run)) await this.#show(run.before);
  }

  /** @returns whether it is gone; why not is said */
  async #remove({ name }: ProjectRun): Promise<boolean> {
    try {
      await removeRun(name);
    } catch (error) {
      if (!(error instanceof IdatError) || error.code !== 'run.missing') {
        this.problem(error);
        return false;
      }
    }
    return true;
  }

  async #show(run: ProjectRun | null, points: readonly Point[] = []): Promise<void> {
    this.setProject({ run, points });
    this.set({ points, seen: new Map(), model: 'none' });
    this.#takeUp();
    if (run?.result) await this.#openModel(run);
  }

  stop(): void {
    if (this.state.training) this.set({ training: { ...this.state.training, stopping: true } });
    this.#stop.abort();
  }

  #follow(event: Progress): void {
    const { training, points } = this.state;
    if (!training) return;
    const change = followed({ training, points }, event);
    this.set(change);
    if (change.points) this.setProject({ points: change.points });
  }

  // the trained model

  async #openModel(run: ProjectRun): Promise<void> {
    this.set({ model: 'opening', seen: new Map() });
    try {
      await this.runs.open(run.name, this.#files());
      this.set({ model: 'open' });
      await this.#seeHeld(run);
    } catch (error) {
      this.set({ model: this.state.model === 'open' ? 'open' : 'none' });
      this.problem(error);
    }
  }

  async #seeHeld(run: ProjectRun): Promise<void> {
    const blobs = new Map(this.state.pictures.map(({ id, blob }) => [id, blob]));
    let seen = new Map<string, Seen>();
    for (const { id, held } of run.paths) {
      const blob = held && blobs.get(id);
      if (!blob) continue;
      if (this.state.project.run?.name !== run.name) return;
      const one = await this.runs.see(blob).catch(() => null);
      if (one) seen = new Map(seen).set(id, one);
      if (seen.size % 8 === 0) this.set({ seen });
    }
    this.set({ seen });
  }

  see(picture: Blob | Rgba): Promise<Seen> {
    return this.runs.see(picture);
  }

  /** The run as a zip, its adapter within; or the whole model as ONNX. */
  async save(what: 'run' | 'onnx'): Promise<void> {
    const { run } = this.state.project;
    if (!run) return;
    this.set({ saving: what });
    try {
      if (what === 'run') download(await exportRun(run.name), `${run.name}.zip`);
      else {
        const held = new Set(run.paths.filter((one) => one.held).map(({ id }) => id));
        const some = this.state.pictures.filter(({ id }) => held.has(id)).slice(0, 16);
        download(await this.runs.onnx(some.map(({ blob }) => blob)), `${run.name}.onnx`);
      }
    } catch (error) {
      this.problem(error);
    } finally {
      this.set({ saving: null });
    }
  }

  /** A run that was kept as a zip, here or in a terminal, to be tried. What was there before is there behind it. */
  async takeRun(zip: Blob): Promise<void> {
    if (this.state.training || this.state.taking) return;
    this.set({ taking: true });
    try {
      const name = await importRun(zip);
      const run: ProjectRun = { name, paths: [], classes: [], result: null, choices: CHOICES, before: null };
      const opened = await this.runs.open(name, this.#files()).catch(async (error: unknown) => {
        await this.#remove(run);
        throw error;
      });
      const { classes, result, student } = opened;
      const { run: current } = this.state.project;
      const again = current && cameAsZip(current) ? current : null;
      const before = again ? again.before : current;
      this.setProject({ run: { ...run, classes, result, choices: choicesOver(student), before }, points: [] });
      this.set({ points: [], seen: new Map(), model: 'open', unfinished: false });
      if (again) await this.#remove(again);
    } catch (error) {
      this.problem(error);
    } finally {
      this.set({ taking: false });
    }
  }
}

/** What is to be done: a run, and how it goes on. */
interface Work {
  readonly run: ProjectRun;
  /** Called when the run has been written: until then the one before stays. */
  readonly begin: () => void;
  readonly go: (control: { signal: AbortSignal; onProgress: (event: Progress) => void }) => Promise<WebResult>;
}

/** A model under its file's name, or the next that is free where another one has it. */
async function named(file: File, there: readonly OwnModel[]): Promise<OwnModel> {
  const own = file.name.replace(/\.safetensors$/, '');
  for (let n = 1; ; n++) {
    const name = n === 1 ? own : `${own}-${n}`;
    const other = there.find((one) => one.name === name);
    if (!other || (await sameBytes(other.blob, file))) return { name, blob: file };
  }
}

/** Of which a tab compares so many bytes at a time. */
const COMPARED = 2 ** 23;

async function sameBytes(one: Blob, other: Blob): Promise<boolean> {
  if (one.size !== other.size) return false;
  for (let at = 0; at < one.size; at += COMPARED) {
    const [a, b] = await Promise.all(
      [one, other].map(async (blob) => new Uint8Array(await blob.slice(at, at + COMPARED).arrayBuffer())),
    );
    if (!a!.every((byte, i) => byte === b![i])) return false;
  }
  return true;
}

/** @throws IdatError `run.storage` */
async function freeRunName(): Promise<string> {
  const taken = await listRuns();
  for (let n = 1; ; n++) if (!taken.includes(`pictures-${n}`)) return `pictures-${n}`;
}
