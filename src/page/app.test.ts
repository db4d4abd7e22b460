import { expect, it } from 'vitest';
import { App } from './app.js';
import { choicesOver } from './lengths.js';
import { NO_PROJECT, type ProjectRun } from './project.js';

it('keeps the models of the visitor’s that runs which are there were trained over', async () => {
  const run = (student: string, before: ProjectRun | null): ProjectRun => ({
    ...{ name: student, paths: [], result: null, classes: [], before },
    choices: choicesOver(student),
  });
  const app = new App();
  const models = ['stopped', 'finished', 'unused', 'new'].map((name) => ({ name, blob: new Blob() }));
  app.set({ project: { ...NO_PROJECT, run: run('stopped', run('finished', null)) }, models });
  await app.takeModels([new File(['larger'], 'new.safetensors'), new File(['less'], 'teacher.safetensors')]);
  expect(app.state.models.map(({ name }) => name)).toEqual(['new', 'teacher', 'stopped', 'finished']);
  expect(app.state.project.choices.own).toEqual({ student: 'new', teacher: 'teacher' });
});
