/** What the page knows: who is told when it changes, and the shelf on which it is kept. */
import type { Project } from './project.js';
import type { Shelf } from './shelf.js';
import { NOTHING_YET, type Notice, type State } from './state.js';

export class Store {
  state: State = NOTHING_YET;
  protected shelf: Shelf | null = null;
  #listeners = new Set<() => void>();
  #noticed = 0;

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener();
  }

  setProject(change: Partial<Project>): void {
    const project = { ...this.state.project, ...change };
    this.set({ project });
    void this.keep((shelf) => shelf.saveProject(project));
  }

  /** Puts something on the shelf; says so where it does not fit. */
  async keep(put: (shelf: Shelf) => Promise<void>): Promise<void> {
    if (this.shelf) await put(this.shelf).catch((error: Error) => this.#full(error));
  }

  notice(text: string, kind: Notice['kind'] = 'problem'): void {
    if (this.state.notices.some((one) => one.text === text)) return;
    this.set({ notices: [...this.state.notices, { id: ++this.#noticed, text, kind }] });
  }

  dismiss(id: number): void {
    this.set({ notices: this.state.notices.filter((one) => one.id !== id) });
  }

  /** @param error what came of an action, told in a sentence */
  problem(error: unknown): void {
    this.notice(sentence((error as Error).message));
  }

  #full(error: Error): void {
    const full = error.name === 'QuotaExceededError';
    const what = full
      ? 'This browser has no more room for this page'
      : `This browser did not keep it (${error.message})`;
    this.notice(
      `${what}: the last pictures stay only until the tab is closed. Remove some, or free space on this device.`,
    );
  }
}

const sentence = (text: string): string => {
  const one = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(one) ? one : `${one}.`;
};
