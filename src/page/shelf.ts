/** Where the page keeps pictures and project between visits: this browser's database, and memory where there is none. */
import { NO_PROJECT, type OwnModel, type Picture, type Project } from './project.js';

const DATABASE = 'idat-page';
const [PICTURES, FACTS] = ['pictures', 'facts'];
const [PROJECT, MODELS] = ['project', 'models'];

export interface Kept {
  readonly project: Project;
  readonly pictures: readonly Picture[];
  /** Models that the visitor brought. */
  readonly models: readonly OwnModel[];
}

export interface Shelf {
  /** False: what is put here lasts as long as the tab. */
  readonly lasting: boolean;
  load(): Promise<Kept>;
  saveProject(project: Project): Promise<void>;
  saveModels(models: readonly OwnModel[]): Promise<void>;
  add(pictures: readonly Picture[]): Promise<void>;
  remove(ids: readonly string[]): Promise<void>;
}

export const NOTHING_KEPT: Kept = { project: NO_PROJECT, pictures: [], models: [] };

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

/**
 * Waits until no other tab is at work on the database: they would overwrite each other's project. Held until the tab is closed.
 * @param onWaiting called where there is one
 */
export function alone(onWaiting: () => void): Promise<void> {
  if (!navigator.locks) return Promise.resolve();
  return new Promise((resolve) => {
    const hold = () => {
      resolve();
      return new Promise<never>(() => {});
    };
    const tried = navigator.locks.request(DATABASE, { ifAvailable: true }, (lock) => lock !== null && hold());
    tried
      .then(() => {
        onWaiting();
        return navigator.locks.request(DATABASE, hold);
      })
      .catch(() => resolve()); // a browser that gives no locks has no second tab to be told of
  });
}

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
      const facts = transaction.objectStore(FACTS);
      const [project, models, pictures] = await Promise.all([
        done(facts.get(PROJECT) as IDBRequest<Project | undefined>),
        done(facts.get(MODELS) as IDBRequest<OwnModel[] | undefined>),
        done(transaction.objectStore(PICTURES).getAll() as IDBRequest<Picture[]>),
      ]);
      return {
        project: project ?? NO_PROJECT,
        pictures: pictures.sort((a, b) => a.added - b.added),
        models: models ?? [],
      };
    },
    saveProject: (project) => change(FACTS, (objects) => objects.put(project, PROJECT)),
    saveModels: (models) => change(FACTS, (objects) => objects.put(models, MODELS)),
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
  load: async () => NOTHING_KEPT,
  saveProject: async () => {},
  saveModels: async () => {},
  add: async () => {},
  remove: async () => {},
});
