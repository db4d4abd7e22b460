/** Averages over tasks that come in groups. */
import { mean } from './summary.js';

export interface GroupedAverages {
  /** Over all tasks alike. */
  readonly flat: number;
  /** The mean of the groups' means, in which a task of a small group weighs more. */
  readonly byGroup: number;
  /** Mean of each group. */
  readonly groups: Readonly<Record<string, number>>;
}

/** @param tasks at least one */
export function groupedAverages(tasks: readonly { readonly group: string; readonly value: number }[]): GroupedAverages {
  const names = [...new Set(tasks.map(({ group }) => group))];
  const of = (name: string) => mean(tasks.filter(({ group }) => group === name).map(({ value }) => value));
  const groups = Object.fromEntries(names.map((name) => [name, of(name)]));
  return { flat: mean(tasks.map(({ value }) => value)), byGroup: mean(Object.values(groups)), groups };
}
