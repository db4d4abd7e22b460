/** What a page may ask the studio for, by path. Answers are JSON but for the stream of events, reports and the page itself. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { ANALYSES, type AnalysisName } from '../analysis/node/analyse.js';
import { IdatError } from '../errors.js';
import { EXPORT_FORMATS } from '../export/export-plan.js';
import { packageFile } from '../files/node/package-root.js';
import { compareRuns } from '../report/run-comparison.js';
import { idatVersion } from '../runtime/node/versions.js';
import { checkFields } from '../settings/issues.js';
import type { Compared } from './page/api.js';
import { analysisPictures, runDetail } from './run-detail.js';
import { REPORT_POLICY, shell } from './shell.js';
import type { Studio } from './studio.js';
import { isFile, shownRun } from './studio-folder.js';
import { STUDIO_STYLE } from './style.js';
import { answerOf, formFacts, issuesOfError, planPath, trainFormOf } from './train-form.js';

/** Of JSON that a page sends, and of a picture that is tried. */
const [MOST_JSON, MOST_PICTURE] = [256 * 1024, 30 * 2 ** 20];
/** Comparisons are drawn, and more curves cannot be told apart. */
const MOST_COMPARED = 200;
/** A silent stream is let live by a word now and then. */
const HEARTBEAT_MS = 20_000;

const Name = z.string().min(1).max(1024);
const Names = z.strictObject({ names: z.array(Name).min(1).max(1000) });
const NotesForm = z.strictObject({ tags: z.array(z.string().max(200)).max(100), note: z.string().max(20_000) });
const ExportSchema = z.strictObject({ format: z.enum(EXPORT_FORMATS), int8: z.boolean(), adapterInput: z.boolean() });
const CompareSchema = z.strictObject({
  names: z.array(Name).min(1).max(MOST_COMPARED),
  against: z.string().max(2000).exactOptional(),
});

const tooLarge = (c: Context) =>
  c.json({ error: { code: 'studio.size', message: 'this is larger than the studio takes', issues: [] } }, 413);
const json = bodyLimit({ maxSize: MOST_JSON, onError: tooLarge });

/** @param page the built page's script, by its file */
export function routesOf(studio: Studio, page = packageFile('dist/studio/assets/studio.js')): Hono {
  const app = new Hono();
  const { folder, hub, jobs, uploads } = studio;
  const nameOf = (c: Context) => c.req.query('run') ?? '';
  const jsonOf = (c: Context): Promise<unknown> =>
    c.req.json().catch(() => {
      throw new IdatError('studio.request', 'expected JSON');
    });
  const bodyOf = async <Schema extends z.ZodObject>(c: Context, schema: Schema): Promise<z.output<Schema>> =>
    checkFields(schema, await jsonOf(c));

  app.onError((error, c) => {
    if (!(error instanceof IdatError)) {
      process.stderr.write(`${error.stack ?? error.message}\n`);
      return c.json(
        { error: { code: 'studio.bug', message: `${error.message} (a bug of idat; please report it)`, issues: [] } },
        500,
      );
    }
    const { code, message } = error;
    return c.json({ error: { code, message, issues: issuesOfError(error) } }, code.endsWith('.missing') ? 404 : 400);
  });
  app.notFound((c) => c.json({ error: { code: 'studio.path', message: 'there is nothing here', issues: [] } }, 404));

  app.get('/', (c) =>
    c.html(shell({ folder: folder.typed(folder.root), version: idatVersion(), queue: studio.queue?.address ?? '' })),
  );
  app.get('/studio.css', (c) => c.body(STUDIO_STYLE, 200, { 'Content-Type': 'text/css; charset=utf-8' }));
  app.get('/studio.js', async (c) => {
    const script = await readFile(page, 'utf8').catch(() => {
      throw new IdatError('studio.page.missing', 'the page has not been built: npm run build');
    });
    return c.body(script, 200, { 'Content-Type': 'text/javascript; charset=utf-8' });
  });

  app.get('/api/events', (c) => {
    const run = c.req.query('run') ?? null;
    return streamSSE(c, async (stream) => {
      const listener = hub.listen(run);
      stream.onAbort(() => listener.close());
      try {
        for (const event of await studio.beginning(run)) await stream.writeSSE({ data: JSON.stringify(event) });
        while (!stream.aborted && !stream.closed && listener.isOpen) {
          const events = await listener.next(HEARTBEAT_MS);
          if (events.length === 0) await stream.write(': still here\n\n');
          for (const event of events) await stream.writeSSE({ data: JSON.stringify(event) });
        }
      } finally {
        listener.close();
      }
    });
  });

  app.get('/api/run', async (c) => c.json(await runDetail(folder.run(nameOf(c)), (path) => folder.typed(path))));
  app.put('/api/run/notes', json, async (c) => c.json(await studio.note(nameOf(c), await bodyOf(c, NotesForm))));
  app.post('/api/run/resume', json, (c) => c.json({ job: studio.resume(nameOf(c)) }));
  app.post('/api/run/report', json, (c) => c.json({ job: studio.report(nameOf(c)) }));
  app.post('/api/run/export', json, async (c) =>
    c.json({ job: await studio.export(nameOf(c), await bodyOf(c, ExportSchema)) }),
  );
  app.get('/api/run/analysis', async (c) =>
    c.json(await analysisPictures(folder.run(nameOf(c)), c.req.query('of') ?? '')),
  );
  app.post('/api/run/analysis', json, (c) => {
    const only = c.req.query('of') as AnalysisName;
    if (!ANALYSES.includes(only)) throw new IdatError('analysis.only', `there are ${ANALYSES.join(', ')}`);
    return c.json({ job: studio.analyse(nameOf(c), only) });
  });
  app.post('/api/run/predict', bodyLimit({ maxSize: MOST_PICTURE, onError: tooLarge }), async (c) =>
    c.json(await studio.predict(nameOf(c), new Uint8Array(await c.req.arrayBuffer()))),
  );
  app.get('/report', async (c) => {
    const { dir } = folder.run(nameOf(c));
    const page = await readFile(join(dir, 'report.html'), 'utf8').catch(() => {
      throw new IdatError('report.missing', 'this run has no report yet');
    });
    return c.html(page, 200, { 'Content-Security-Policy': REPORT_POLICY });
  });

  app.post('/api/runs/remove', json, async (c) => {
    await studio.remove((await bodyOf(c, Names)).names);
    return c.json({});
  });
  app.post('/api/runs/restore', json, async (c) => {
    await studio.restore(c.req.query('id') ?? '');
    return c.json({});
  });
  app.post('/api/compare', json, async (c) => {
    const { names, against } = await bodyOf(c, CompareSchema);
    const opened = await studio.opened(names);
    const compared: Compared = {
      runs: opened.map(({ listed }) => shownRun(listed)),
      comparison: compareRuns(
        opened.map(({ listed, run }) => ({
          ...{ name: listed.name, settings: run.record.settings },
          accuracy: run.result?.accuracy ?? null,
        })),
        against,
      ),
      curves: opened.map(({ listed, epochs }) => ({ name: listed.name, epochs })),
    };
    return c.json(compared);
  });

  app.get('/api/form', (c) => c.json(formFacts(folder)));
  app.post('/api/form/check', json, async (c) => c.json(await answerOf(trainFormOf(await jsonOf(c)), folder)));
  app.post('/api/form/start', json, async (c) => c.json({ job: await studio.start(trainFormOf(await jsonOf(c))) }));
  app.get('/api/sweep', async (c) => {
    const out = await folder.writable(nameOf(c));
    return c.json({ planned: await isFile(planPath(out)) });
  });
  app.post('/api/sweep/resume', json, async (c) => {
    const out = await folder.writable(nameOf(c));
    if (!(await isFile(planPath(out)))) throw new IdatError('sweep.missing', 'there is no such sweep');
    return c.json({ job: studio.startSweep(planPath(out)) });
  });
  app.get('/api/queue', async (c) => {
    if (studio.queue === null) throw new IdatError('queue.missing', 'the studio was started without a queue');
    return c.json(await studio.queue.read());
  });
  app.post('/api/job/stop', json, (c) => c.json({ job: jobs.stop(c.req.query('id') ?? '') }));

  app.post('/api/upload', json, async (c) => {
    const { name } = await bodyOf(c, z.strictObject({ name: z.string().max(400) }));
    return c.json({ id: await uploads.begin(name) });
  });
  app.put('/api/upload', async (c) => {
    const { body } = c.req.raw;
    if (!body) throw new IdatError('upload.empty', 'this file is empty');
    await uploads.put(c.req.query('id') ?? '', c.req.query('path') ?? '', body);
    return c.json({});
  });
  app.post('/api/upload/end', json, async (c) => {
    const { path, says } = await uploads.end(c.req.query('id') ?? '');
    return c.json({ path: folder.typed(path), says });
  });
  app.delete('/api/upload', async (c) => {
    await uploads.drop(c.req.query('id') ?? '');
    return c.json({});
  });
  return app;
}
