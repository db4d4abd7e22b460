/** Taking a trained model elsewhere: as ONNX, for a page, or as a report to send on. */
import { useState } from 'preact/hooks';
import type { ExportForm, ShownJob, ShownRun } from './api.js';
import { ask, messageOf } from './ask.js';
import { Command, Job, Section } from './parts.js';
import { store, useStore } from './store.js';

export function RunExport({ run, hasReport }: { run: ShownRun; hasReport: boolean }) {
  const { jobs } = useStore();
  const [form, setForm] = useState<ExportForm>({ format: 'onnx', int8: false, adapterInput: false });
  const mine = [...jobs.values()].filter(
    ({ kind, about }) => about === run.name && (kind === 'export' || kind === 'report'),
  );
  const begin = (path: string, body: unknown) =>
    ask<{ job: ShownJob }>(path, { method: 'POST', query: { run: run.name }, body }).then(
      (answer) => store.put(answer),
      (error: unknown) => store.say(messageOf(error), { bad: true }),
    );
  const change = (part: Partial<ExportForm>) => setForm({ ...form, ...part });
  return (
    <Section id="export" title="Take it elsewhere">
      <div class="two">
        <form
          class="card"
          onSubmit={(event) => {
            event.preventDefault();
            void begin('api/run/export', form);
          }}
        >
          <h3>Export</h3>
          <p class="note">Held against the engine that trained it before it is written.</p>
          <div class="bars">
            <label class="check">
              <input
                type="radio"
                name="format"
                checked={form.format === 'onnx'}
                onChange={() => change({ format: 'onnx' })}
              />
              One ONNX file, for any runtime
            </label>
            <label class="check">
              <input
                type="radio"
                name="format"
                checked={form.format === 'transformers.js'}
                onChange={() => change({ format: 'transformers.js', adapterInput: false })}
              />
              A folder for transformers.js, for a page
            </label>
            <label class="check">
              <input
                type="checkbox"
                checked={form.int8}
                onChange={(event) => change({ int8: event.currentTarget.checked })}
              />
              Large weights in 8 bits: smaller, not exact
            </label>
            <label class="check">
              <input
                type="checkbox"
                checked={form.adapterInput}
                disabled={form.format !== 'onnx'}
                onChange={(event) => change({ adapterInput: event.currentTarget.checked })}
              />
              What was trained as a small file of its own
            </label>
          </div>
          <p>
            <button type="submit" class="primary">
              Export
            </button>
          </p>
        </form>
        <div class="card">
          <h3>Report</h3>
          <p class="note">
            One page with curves, classes and all pictures, that loads nothing and can be sent by mail.
          </p>
          <div class="actions">
            {hasReport && (
              <a class="button" href={`report?run=${encodeURIComponent(run.name)}`} target="_blank" rel="noreferrer">
                Open the report
              </a>
            )}
            <button type="button" onClick={() => void begin('api/run/report', {})}>
              {hasReport ? 'Make it anew' : 'Make the report'}
            </button>
          </div>
        </div>
      </div>
      {mine.map((job) => (
        <div key={job.id} class="stack">
          {job.state === 'done' ? <Done job={job} /> : <Job job={job} name={false} />}
        </div>
      ))}
    </Section>
  );
}

function Done({ job }: { job: ShownJob }) {
  return (
    <div class="card" data-done={job.kind}>
      <strong>{job.kind === 'export' ? 'Exported' : 'The report is there'}</strong>
      {job.notes.length > 0 && <p class="note">{job.notes.at(-1)}</p>}
      <Command text={job.command} label={`Command of the ${job.kind}`} />
    </div>
  );
}
