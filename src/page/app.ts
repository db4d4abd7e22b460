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
import { addressOf, settingsOf, withMeasured } from './lengths.js';
import { Pictures } from './pictures.js';
import { type Choices, dataOf, inClasses, type ProjectRun } from './project.js';
import { type Runs, runsInWorker } from './run-client.js';
import type { Rgba, Seen } from './run-protocol.js';
import { NOTHING_KEPT, openShelf } from './shelf.js';
import { NOTHING_YET, type State } from './state.js';
import { Store } from './store.js';

export class App extends Store {
  override state: State = { ...NOTHING_YET, pace: storedPace() };
  readonly runs: Runs = runsInWorker();
  readonly pictures = new Pictures(this, { unpack: this.runs.unpack, prepare: prepared });
  #stop = new AbortController();

  /** Takes up what an earlier visit left. */
  async start(): Promise<void> {
    this.shelf = await openShelf();
    const { project, pictures, models } = await this.shelf.load().catch(() => NOTHING_KEPT);
    this.set({ ready: true, lasting: this.shelf.lasting, project, pictures, models, points: project.points });
    const homed = new Set(inClasses(project.classes, pictures));
    this.pictures.removePictures(pictures.filter((one) => !homed.has(one)).map(({ id }) => id));
    if (!this.shelf.lasting) {
      this.notice(
        'This browser keeps nothing for this page, as private windows do: pictures stay until the tab is closed, and training needs a window that keeps files.',
      );
    }
    if (!project.run) return;
    const there = await listRuns().catch((error: unknown) => this.problem(error));
    if (!there) return;
    if (!there.includes(project.run.name)) {
      const { before } = project.run;
      const run = before && there.includes(before.name) ? before : null;
      this.setProject({ run, points: [] });
      this.set({ points: [] });
      if (run) await this.#openModel(run);
    } else if (project.run.result) await this.#openModel(project.run);
    else this.set({ unfinished: true });
  }

  choose(change: Partial<Choices>): void {
    this.setProject({ choices: { ...this.state.project.choices, ...change } });
  }

  // training

  async train(): Promise<void> {
    const { project, pictures } = this.state;
    const { classes, choices } = project;
    const { paths, files } = dataOf(classes, pictures);
    const current = project.run;
    const before = current?.result ? current : (current?.before ?? null);
    const name = await freeRunName().catch((error: unknown) => {
      this.problem(error);
      return null;
    });
    if (name === null) return;
    const run: ProjectRun = { name, paths, result: null, classes: [], choices, before };
    const begin = () => {
      if (current && current !== before) void removeRun(current.name).catch(() => {});
      this.setProject({ run, points: [] });
      this.set({ points: [], seen: new Map(), model: 'none' });
    };
    const weights = this.#weights(choices);
    await this.#work(run, begin, (control) =>
      fineTune({ ...settingsOf(choices), data: files, dataName: 'pictures', run: name, weights }, control),
    );
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
    const weights = this.#weights(run.choices);
    await this.#work(
      run,
      () => {},
      (control) => resume(run.name, { data: files, weights }, control),
    );
  }

  /** Models of the visitor's own: the larger one learns, a second one teaches it. */
  async takeModels(files: readonly File[]): Promise<void> {
    const [student, teacher, ...others] = [...files].sort((a, b) => b.size - a.size);
    if (!student || others.length > 0 || files.some(({ name }) => !/\.safetensors$/.test(name))) {
      this.notice('Choose one model, or one and a smaller one that teaches it, as .safetensors files.');
      return;
    }
    const models = [student, ...(teacher ? [teacher] : [])].map((file) => ({ name: nameOf(file), blob: file }));
    this.set({ models });
    this.choose({ models: 'own', own: { student: nameOf(student), teacher: teacher ? nameOf(teacher) : null } });
    await this.keep((shelf) => shelf.saveModels(models));
  }

  /** Where the weights of a model are: the page's own are beside it. */
  #weightsOf(name: string): Blob | string {
    return this.state.models.find((one) => one.name === name)?.blob ?? addressOf(name);
  }

  #weights(choices: Choices) {
    const { student, teacher } = settingsOf(choices);
    return { student: this.#weightsOf(student!), ...(teacher && { teacher: this.#weightsOf(teacher) }) };
  }

  /** @param begin called when the run has been written: until then the one before stays */
  async #work(
    run: ProjectRun,
    begin: () => void,
    work: (control: { signal: AbortSignal; onProgress: (event: Progress) => void }) => Promise<WebResult>,
  ): Promise<void> {
    this.#stop = new AbortController();
    this.set({ training: BEGUN, unfinished: false });
    let written = false;
    const onProgress = (event: Progress) => {
      if (!written && (event.kind === 'estimate' || event.kind === 'step')) {
        written = true;
        begin();
      }
      this.#follow(event);
    };
    try {
      const result = await work({ signal: this.#stop.signal, onProgress });
      if (!written) begin();
      const { classes, run: _, ...numbers } = result;
      const ended: ProjectRun = { ...run, classes, result: numbers, before: null };
      const learnt = run.paths.filter(({ held }) => !held).length;
      const pace = withMeasured(this.state.pace, run.choices, learnt, result.seconds);
      keepPace(pace);
      this.set({ training: null, pace });
      this.setProject({ run: ended });
      if (run.before) await removeRun(run.before.name).catch(() => {});
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

  /** Gives up a training that was stopped, for the model there was before. */
  async discard(): Promise<void> {
    const { run } = this.state.project;
    if (!run || run.result) return;
    await removeRun(run.name).catch(() => {});
    this.setProject({ run: run.before, points: [] });
    this.set({ points: [], unfinished: false });
    if (run.before) await this.#openModel(run.before);
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
      await this.runs.open(run.name, this.#weights(run.choices).student);
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

  /** A run that was kept as a zip, here or in a terminal, to be tried. */
  async takeRun(zip: Blob): Promise<void> {
    try {
      const name = await importRun(zip);
      const { choices } = this.state.project;
      const opened = await this.runs.open(name, this.#weights(choices).student);
      const run: ProjectRun = {
        name,
        paths: [],
        classes: opened.classes,
        result: opened.result,
        choices,
        before: null,
      };
      this.setProject({ run, points: [] });
      this.set({ points: [], seen: new Map(), model: 'open', unfinished: false });
    } catch (error) {
      this.problem(error);
    }
  }
}

const nameOf = ({ name }: File): string => name.replace(/\.safetensors$/, '');

/** @throws IdatError `run.storage` */
async function freeRunName(): Promise<string> {
  const taken = await listRuns();
  for (let n = 1; ; n++) if (!taken.includes(`pictures-${n}`)) return `pictures-${n}`;
}
