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

it('gives a model another name where a run needs a different one of the same name', async () => {
  const app = new App();
  const model = (text: string) => new File([text], 'model.safetensors');
  const run = { ...{ name: 'r', paths: [], result: null, classes: [], before: null }, choices: choicesOver('model') };
  app.set({ project: { ...NO_PROJECT, run }, models: [{ name: 'model', blob: model('first') }] });
  await app.takeModels([model('first')]);
  expect(app.state.models.map(({ name }) => name)).toEqual(['model']);
  await app.takeModels([model('another one'), model('small')]);
  expect(app.state.models.map(({ name }) => name)).toEqual(['model-2', 'model-3', 'model']);
  expect(app.state.project.choices.own).toEqual({ student: 'model-2', teacher: 'model-3' });
  expect(await app.state.models[2]!.blob.text()).toBe('first');
});
