/** The visitor's classes and their pictures: made, taken in, removed. */
import { fromDrop, fromFiles, type Gathered, type Incoming, prepared } from './intake.js';
import { freeClassName, type PictureClass } from './project.js';
import type { Runs } from './run-client.js';
import type { Store } from './store.js';
import { takeIn } from './take-in.js';

export class Pictures {
  constructor(
    private readonly store: Store,
    private readonly unpack: Runs['unpack'],
  ) {}

  addClass(): void {
    const { classes } = this.store.state.project;
    const made = { id: freeId(classes), name: freeClassName(classes) };
    this.store.setProject({ classes: [...classes, made] });
  }

  renameClass(id: string, name: string): void {
    this.store.setProject({
      classes: this.store.state.project.classes.map((one) => (one.id === id ? { ...one, name } : one)),
    });
  }

  removeClass(id: string): void {
    this.removePictures(this.store.state.pictures.filter(({ classId }) => classId === id).map((one) => one.id));
    this.store.setProject({ classes: this.store.state.project.classes.filter((one) => one.id !== id) });
  }

  /** @param into the class for pictures that lie in no folder, and for a single folder; null: a class for each folder */
  async takeFiles(files: readonly File[], into: string | null): Promise<void> {
    await this.#take(await fromFiles(files, this.unpack), into);
  }

  async takeDrop(transfer: DataTransfer, into: string | null): Promise<void> {
    await this.#take(await fromDrop(transfer, this.unpack), into);
  }

  /** Pictures that come with the page, to try it at once. */
  async takeExamples(): Promise<void> {
    try {
      const response = await fetch(new URL('example.zip', document.baseURI));
      if (!response.ok) throw new Error(`the example pictures could not be fetched (${response.status})`);
      const files = (await this.unpack(await response.blob())) as Incoming[];
      await this.#take({ files, problems: [] }, null);
    } catch (error) {
      this.store.problem(error);
    }
  }

  async #take({ files, problems }: Gathered, into: string | null): Promise<void> {
    for (const text of problems) this.store.notice(text);
    if (files.length === 0) return;
    void navigator.storage?.persist?.().catch(() => false);
    const folders = new Set(files.map(({ folder }) => folder));
    const single = into !== null && folders.size <= 1;
    const { problem, note } = await takeIn(files, {
      classFor: (folder) => (single ? into : this.#classFor(folder, into)),
      known: new Set(this.store.state.pictures.map(({ id }) => id)),
      onReading: (done, total) => this.store.set({ reading: { done, total } }),
      keep: async (pictures) => {
        this.store.set({ pictures: [...this.store.state.pictures, ...pictures] });
        await this.store.keep((shelf) => shelf.add(pictures));
      },
    });
    this.store.set({ reading: null });
    this.#dropEmptyDefaults();
    if (problem) this.store.notice(problem);
    if (note) this.store.notice(note, 'note');
  }

  /** The class of a folder's name, made where there is none; untouched empty ones are taken first. */
  #classFor(folder: string, into: string | null): string {
    const { classes } = this.store.state.project;
    if (folder === '') return into ?? classes[0]?.id ?? this.#made('Class 1').id;
    const there = classes.find(({ name }) => name === folder);
    if (there) return there.id;
    return this.#made(folder).id;
  }

  #made(name: string): PictureClass {
    const { classes } = this.store.state.project;
    const made = { id: freeId(classes), name };
    this.store.setProject({ classes: [...classes, made] });
    return made;
  }

  /** `Class 1` and `Class 2`, where folders brought classes of their own. */
  #dropEmptyDefaults(): void {
    const { project, pictures } = this.store.state;
    const filled = (id: string) => pictures.some(({ classId }) => classId === id);
    if (project.classes.filter(({ id }) => filled(id)).length < 2) return;
    const classes = project.classes.filter(({ id, name }) => filled(id) || !/^Class \d+$/.test(name));
    if (classes.length < project.classes.length) this.store.setProject({ classes });
  }

  async takeShot(blob: Blob, classId: string, recording: string): Promise<void> {
    const picture = await prepared({ name: recording, blob }, classId, recording);
    if (!picture || this.store.state.pictures.some(({ id }) => id === picture.id)) return;
    this.store.set({ pictures: [...this.store.state.pictures, picture] });
    await this.store.keep((shelf) => shelf.add([picture]));
  }

  removePictures(ids: readonly string[]): void {
    const gone = new Set(ids);
    this.store.set({ pictures: this.store.state.pictures.filter(({ id }) => !gone.has(id)) });
    void this.store.keep((shelf) => shelf.remove(ids));
  }
}

const freeId = (classes: readonly PictureClass[]): string => {
  for (let n = classes.length + 1; ; n++) if (!classes.some(({ id }) => id === `c${n}`)) return `c${n}`;
};
