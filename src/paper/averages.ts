/**
 * The two averages over VTAB-1K's tasks that papers print: of all tasks alike (iDAT's), and of its three groups' means (most
 * others'), which is a few points higher. Numbers of one cannot be held against the other's.
 */
import { type GroupedAverages, groupedAverages } from '../statistics/index.js';
import { type TaskName, taskNamed } from './tasks.js';

/** @param byTask at least one task, by VTAB's name; the averages are of those there are */
export const vtabAverages = (byTask: Readonly<Partial<Record<TaskName, number>>>): GroupedAverages =>
  groupedAverages(Object.entries(byTask).map(([name, value]) => ({ group: taskNamed(name)!.group, value })));
