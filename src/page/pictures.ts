/** The visitor's classes and their pictures: made, taken in, removed. */
import { fromDrop, fromFiles, type Gathered, type Prepare, type Unpack } from './intake.js';
import { folderOf, freeClassName, inClasses, NO_PROJECT, type Picture, type PictureClass } from './project.js';
import type { Store } from './store.js';
import { takeIn } from './take-in.js';

export class Pictures {
  /** Intakes that have not ended. */
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  /** Whether one of them made a class of a folder. */
  #foldersBrought = false;

  /** @param from how archives are unpacked, and how a picture becomes what is kept */
  constructor(
    private readonly store: Store,
    private readonly from: { readonly unpack: Unpack; readonly prepare: Prepare },
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
  takeFiles(files: readonly File[], into: string | null): Promise<void> {
    return this.#take(fromFiles(files, this.from.unpack), into);
  }

  takeDrop(transfer: DataTransfer, into: string | null): Promise<void> {
    return this.#take(fromDrop(transfer, this.from.unpack), into);
  }

  /** Pictures that come with the page, to try it at once. */
  takeExamples(): Promise<void> {
    const gathered = async (): Promise<Gathered> => {
      const response = await fetch(new URL('example.zip', document.baseURI));
      if (!response.ok) throw new Error(`the example pictures could not be fetched (${response.status})`);
      const { files } = await this.from.unpack.unpack(await response.blob());
      return { files: [...files], problems: [] };
    };
    return this.#take(gathered(), null);
  }

  /** One intake after the other: each knows what those before it brought. */
  #take(coming: Promise<Gathered>, into: string | null): Promise<void> {
    coming.catch(() => {}); // told when its turn has come
    this.#waiting++;
    this.#last = this.#last
      .then(async () => this.#takeIn(await coming, into))
      .catch((error: unknown) => this.store.problem(error))
      .then(() => this.#ended());
    return this.#last;
  }

  async #takeIn({ files, problems }: Gathered, into: string | null): Promise<void> {
    for (const text of problems) this.store.notice(text);
    if (files.length === 0) return;
    void navigator.storage?.persist?.().catch(() => false);
    const folders = new Set(files.map(({ folder }) => folder));
    const single = into !== null && folders.size <= 1;
    const { problem, note } = await takeIn(files, {
      classFor: (folder) => (single ? into : this.#classFor(folder, into)),
      prepare: this.from.prepare,
      known: new Set(this.store.state.pictures.map(({ id }) => id)),
      onReading: (done, total) => this.store.set({ reading: { done, total } }),
      keep: (pictures) => this.#keep(pictures),
    });
    this.store.set({ reading: null });
    if (problem) this.store.notice(problem);
    if (note) this.store.notice(note, 'note');
  }

  /** While pictures were read their class may have been removed: those are dropped. */
  async #keep(pictures: readonly Picture[]): Promise<void> {
    const { project, pictures: there } = this.store.state;
    const ids = new Set(there.map(({ id }) => id));
    const fresh = inClasses(project.classes, pictures).filter(({ id }) => !ids.has(id));
    if (fresh.length === 0) return;
    this.store.set({ pictures: [...there, ...fresh] });
    await this.store.keep((shelf) => shelf.add(fresh));
  }

  /** The class of a folder's name, made where there is none. */
  #classFor(folder: string, into: string | null): string {
    const { classes } = this.store.state.project;
    if (folder === '') return into ?? classes[0]?.id ?? this.#made('Class 1').id;
    const there = classes.find(({ name }) => folderOf(name) === folderOf(folder));
    if (there) return there.id;
    this.#foldersBrought = true;
    return this.#made(folder).id;
  }

  #made(name: string): PictureClass {
    const { classes } = this.store.state.project;
    const made = { id: freeId(classes), name };
    this.store.setProject({ classes: [...classes, made] });
    return made;
  }

  /** Drops `Class 1` and `Class 2` where folders brought classes in their place, and no pictures for them are on their way. */
  #ended(): void {
    if (--this.#waiting > 0 || !this.#foldersBrought) return;
    this.#foldersBrought = false;
    const { project, pictures } = this.store.state;
    const filled = (id: string) => pictures.some(({ classId }) => classId === id);
    if (project.classes.filter(({ id }) => filled(id)).length < 2) return;
    const untouched = ({ id, name }: PictureClass) =>
      !filled(id) && NO_PROJECT.classes.some((one) => one.id === id && one.name === name);
    this.store.setProject({ classes: project.classes.filter((one) => !untouched(one)) });
  }

  async takeShot(blob: Blob, classId: string, recording: string): Promise<void> {
    const picture = await this.from.prepare({ name: recording, blob }, classId, recording);
    if (picture) await this.#keep([picture]);
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
