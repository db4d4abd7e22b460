/**
 * How fast a step is with 8-bit products beside float32, with weights of a whole byte and of half of one: the bundled pair
 * behind its frozen prefixes, in turn, in processor time on one thread. In WebAssembly too, which runs in Node as in a tab.
 *
 *     npm run build && node bench/int8-speed.mjs [ROUNDS] [IMAGES A CALL] [STUDENT TEACHER]      default: 10 rounds, 16 images
 */
import { readFileSync } from 'node:fs';
import { measurableBackbone, withWeightsFolder } from '../dist/bench/measurable-backbone.js';
import { syntheticFeeds } from '../dist/measure/tuning.js';
import { startRuntime } from '../dist/runtime/node/start.js';
import { openEngine } from '../dist/runtime/web/engine.js';
import { startWebRuntime } from '../dist/runtime/web/start.js';
import { parseConfig } from '../dist/settings/config.js';
import { planOf } from '../dist/settings/plan.js';
import { median } from '../dist/statistics/index.js';
import { modelSpecs, prefixesOf, stepOf } from '../dist/train/specs.js';

const [rounds = '10', images = '16', student = 'vit_micro_patch4_32.cifar10', teacher = 'vit_nano_patch4_32.cifar10'] =
  process.argv.slice(2);
const ARMS = { float32: {}, '±127': { int8Largest: 127 }, '±63': { int8Largest: 63 } };

await withWeightsFolder(async (folder) => {
  const plan = planOf(parseConfig({ data: 'any', student, teacher, variant: 'iDAT-PS-mse' }));
  const backbones = {
    student: (await measurableBackbone(plan.models.student, folder)).backbone,
    teacher: (await measurableBackbone(plan.models.teacher, folder)).backbone,
  };
  const specs = modelSpecs(plan.models, backbones, 10);
  const prefixes = prefixesOf(specs, plan);
  const files = new Map(Object.values(backbones).map(({ path }) => [path, new Uint8Array(readFileSync(path))]));
  const runtimes = {
    native: await startRuntime({ device: 'cpu', threads: 1 }),
    WebAssembly: await startWebRuntime({ connect: () => openEngine(), files }),
  };
  for (const [where, runtime] of Object.entries(runtimes)) {
    const loaded = [];
    for (const [name, range] of Object.entries(ARMS)) {
      const frozen = name === 'float32' ? 'float32' : 'int8';
      let step;
      const session = await runtime.load((sink) => {
        step = stepOf(
          { ...plan, compile: { ...plan.compile, frozen, ...range } },
          specs,
          prefixes,
          Number(images),
          sink,
        );
        return step.program;
      });
      const feeds = syntheticFeeds(step);
      await session.run(feeds);
      loaded.push({ name, session, feeds, ms: [] });
    }
    for (let round = 0; round < Number(rounds); round++) {
      for (const { session, feeds, ms } of loaded) {
        const before = process.cpuUsage();
        await session.run(feeds);
        const { user, system } = process.cpuUsage(before);
        ms.push((user + system) / 1000 / Number(images));
      }
    }
    const exact = median(loaded[0].ms);
    const told = loaded.map(
      ({ name, ms }) => `${name} ${median(ms).toFixed(2)} ms (${(exact / median(ms)).toFixed(2)} ×)`,
    );
    console.log(`${where}: ${told.join(', ')} an image`);
    await runtime.close();
  }
});
