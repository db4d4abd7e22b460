/** Where the page keeps pictures and project between visits: this browser's database, and memory where there is none. */
import { NO_PROJECT, type Picture, type Project } from './project.js';

const DATABASE = 'idat-page';
const [PICTURES, FACTS] = ['pictures', 'facts'];
const PROJECT = 'project';

export interface Shelf {
  /** False: what is put here lasts as long as the tab. */
  readonly lasting: boolean;
  load(): Promise<{ project: Project; pictures: Picture[] }>;
  saveProject(project: Project): Promise<void>;
  add(pictures: readonly Picture[]): Promise<void>;
  remove(ids: readonly string[]): Promise<void>;
}

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const finished = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });

/** Never fails: a browser that keeps nothing gives a shelf that does not last. */
export async function openShelf(): Promise<Shelf> {
  try {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(PICTURES, { keyPath: 'id' });
      request.result.createObjectStore(FACTS);
    };
    return lasting(await done(request));
  } catch {
    return passing();
  }
}

function lasting(database: IDBDatabase): Shelf {
  const change = (store: string, action: (objects: IDBObjectStore) => void): Promise<void> => {
    const transaction = database.transaction(store, 'readwrite');
    action(transaction.objectStore(store));
    return finished(transaction);
  };
  return {
    lasting: true,
    load: async () => {
      const transaction = database.transaction([PICTURES, FACTS]);
      const [project, pictures] = await Promise.all([
        done(transaction.objectStore(FACTS).get(PROJECT) as IDBRequest<Project | undefined>),
        done(transaction.objectStore(PICTURES).getAll() as IDBRequest<Picture[]>),
      ]);
      return { project: project ?? NO_PROJECT, pictures: pictures.sort((a, b) => a.added - b.added) };
    },
    saveProject: (project) => change(FACTS, (objects) => objects.put(project, PROJECT)),
    add: (pictures) =>
      change(PICTURES, (objects) => {
        for (const picture of pictures) objects.put(picture);
      }),
    remove: (ids) =>
      change(PICTURES, (objects) => {
        for (const id of ids) objects.delete(id);
      }),
  };
}

const passing = (): Shelf => ({
  lasting: false,
  load: async () => ({ project: NO_PROJECT, pictures: [] }),
  saveProject: async () => {},
  add: async () => {},
  remove: async () => {},
});
