/** Each analysis but attention: what it finds, and the pictures of it. */
import { blocks } from '../../backbones/architecture.js';
import { IdatError } from '../../errors.js';
import { randomStream } from '../../random.js';
import type { OpenedRun } from '../../runs/open-run.js';
import { type ModelSpec, traceModel } from '../../step/model.js';
import type { Role } from '../../step/roles.js';
import { type AgreementReport, agreementChart, epochsOf, testAgreement } from '../agreement.js';
import { type EmbeddingReport, embeddingChart } from '../embedding-chart.js';
import { pictureOf } from '../pictures.js';
import { calibrationReport, classesReport, confusionReport, hardestReport } from '../quality.js';
import { classesChart, confusionChart, reliabilityChart } from '../quality-charts.js';
import { drawSheet, type Tile } from '../sheet.js';
import { ending } from '../style.js';
import { tsne } from '../tsne.js';
import { umap } from '../umap.js';
import { weightsReport } from '../weights.js';
import { weightDispersion, weightHistograms } from '../weights-charts.js';
import { addressOf } from './encode.js';
import type { Found, Subject } from './subject.js';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Needs no images. */
export async function weights(run: OpenedRun, models: Readonly<Partial<Record<Role, ModelSpec>>>): Promise<Found> {
  const trained = await Promise.all(
    (Object.entries(models) as [Role, ModelSpec][]).map(async ([role, model]) => {
      const tracing = { role: '' as const, batch: 1, training: false, disable: [] };
      const { layout } = traceModel(model, tracing);
      const { config, name } = model.backbone;
      const names = blocks(config).map((block) => block.name);
      const parameters = await run.parameters(role, layout);
      return { role, backbone: name, method: model.method, blocks: names, slots: layout.slots, parameters };
    }),
  );
  const report = weightsReport(trained);
  const histograms = weightHistograms(report);
  const dispersion = weightDispersion(report);
  const counts = report.models.map(({ role, tensors }) => `${tensors.length} tensors of the ${role}`);
  return {
    says: `${counts.join(' and ')}: histograms, standard deviation, kurtosis, share near 0`,
    report,
    charts: { ...(histograms && { weights: histograms }), ...(dispersion && { 'weights-dispersion': dispersion }) },
  };
}

export async function confusion({ run, observed }: Subject): Promise<Found> {
  const { answers } = await observed('student');
  const report = confusionReport(answers, run.classes);
  const worst = report.confusion
    .flatMap((row, truth) => row.map((count, answer) => ({ count, truth, answer })))
    .filter(({ truth, answer }) => truth !== answer)
    .sort((a, b) => b.count - a.count)[0];
  const most = worst && worst.count > 0 && `${run.classes[worst.truth]} taken for ${run.classes[worst.answer]}`;
  const says = most ? `most often ${most} (${worst.count} images)` : 'no class was taken for another';
  return { says, report, charts: { confusion: confusionChart(report) } };
}

export async function classes({ run, observed }: Subject): Promise<Found> {
  const report = classesReport((await observed('student')).answers, run.classes);
  const { balancedAccuracy, macroF1, top5 } = report;
  const among = top5 === null ? '' : `, top-5 ${percent(top5)}`;
  const says = `balanced accuracy ${percent(balancedAccuracy)}, macro F1 ${percent(macroF1)}${among}`;
  return { says, report, charts: { classes: classesChart(report) } };
}

export async function calibration({ observed }: Subject): Promise<Found> {
  const report = calibrationReport((await observed('student')).answers);
  const says = `expected calibration error ${percent(report.ece)}, Brier score ${report.brier.toFixed(3)}`;
  return { says, report, charts: { calibration: reliabilityChart(report) } };
}

const HARDEST = 24;
const HARDEST_A_ROW = 8;
const HARDEST_SIDE = 128;

export async function hardest({ run, test, observed }: Subject): Promise<Found> {
  const { answers } = await observed('student');
  const store = test.pixels.student;
  const report = hardestReport(answers, store.names, run.classes, HARDEST);
  const tiles: Tile[] = [];
  for (const { index, label, answer, confidence, name } of report.images) {
    const href = await addressOf(pictureOf(await store.read([index]), store.size, HARDEST_SIDE));
    const captions = [label, `${Math.round(100 * confidence)} % ${answer}`, ending(name, 18)];
    tiles.push({ href, captions });
  }
  const rows = Array.from({ length: Math.ceil(tiles.length / HARDEST_A_ROW) }, (_, r) =>
    tiles.slice(r * HARDEST_A_ROW, (r + 1) * HARDEST_A_ROW),
  );
  const sheet = drawSheet({
    title: 'The hardest test images',
    subtitle: [
      `The ${tiles.length} of ${report.outOf} whose true class the student finds least probable; ${report.wrong} are answered wrong.`,
      'Below each: its class, the answer with its probability, its file. As the model sees them, enlarged.',
    ],
    columns: [],
    rows,
    side: HARDEST_SIDE,
  });
  return {
    says: `${report.wrong} of ${report.outOf} wrong; the ${tiles.length} worst`,
    report,
    charts: { hardest: sheet },
  };
}

export async function agreement({ run, observed }: Subject): Promise<Found> {
  const [student, teacher] = [await observed('student'), await observed('teacher')];
  const test = testAgreement(student.answers, teacher.answers);
  const report: AgreementReport = { epochs: epochsOf(await run.metrics()), test };
  const says = `student and teacher give the same answer to ${percent(test.agreement)} of the test images`;
  return { says, report, charts: { agreement: agreementChart(report) } };
}

export const tsneMap = (subject: Subject): Promise<Found> =>
  featureMap(subject, { kind: 't-SNE', name: 'tsne', make: tsne, options: { perplexity: 30 } });

export const umapMap = (subject: Subject): Promise<Found> =>
  featureMap(subject, { kind: 'UMAP', name: 'umap', make: umap, options: { neighbours: 15, minDistance: 0.1 } });

/** Fewer make no neighbourhoods. */
const FEWEST_POINTS = 4;

async function featureMap(
  { run, test, roles, observed, choices }: Subject,
  { kind, name, make, options }: { kind: string; name: string; make: typeof tsne; options: Record<string, number> },
): Promise<Found> {
  const { points, seed, signal, onProgress } = choices;
  const { count, labels, names } = test.pixels.student;
  if (count < FEWEST_POINTS) {
    throw new IdatError('analysis.points', `${name}: ${count} test images are too few for a map; give more with data`);
  }
  const all = Array.from({ length: count }, (_, i) => i);
  const chosen =
    count <= points
      ? all
      : randomStream(seed, 'points')
          .shuffled(all)
          .slice(0, points)
          .sort((a, b) => a - b);
  const maps: EmbeddingReport['maps'][number][] = [];
  for (const role of roles) {
    const { features } = await observed(role);
    const places = await make(
      chosen.map((i) => features[i]!),
      { ...options, seed, signal, onProgress: (...at) => onProgress(`${kind} of the ${role}`, ...at) },
    );
    maps.push({ role, backbone: test.models[role]!.backbone.name, places });
  }
  const report: EmbeddingReport = {
    ...{ kind, options: { ...options, seed }, classes: run.classes, outOf: count, maps },
    images: chosen.map((i) => ({ name: names[i]!, label: labels[i]! })),
  };
  return {
    says: `${chosen.length} test images by what the head reads`,
    report,
    charts: { [name]: embeddingChart(report) },
  };
}
