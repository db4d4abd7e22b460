/** Where the models look, on chosen images. */

import { nameOfSource, readImage } from '../../data/node/image-source.js';
import { preprocess } from '../../data/preprocess.js';
import { IdatError } from '../../errors.js';
import { argmax, probabilities } from '../../statistics/index.js';
import type { Role } from '../../step/roles.js';
import { type ObservedImage, observeAttention } from '../observe-images.js';
import { overlay, pictureOf } from '../pictures.js';
import { drawSheet, type Tile } from '../sheet.js';
import { ending } from '../style.js';
import { addressOf } from './encode.js';
import type { Found, Subject } from './subject.js';

/** Test images that are shown where none are chosen. */
const CHOSEN = 6;
const SIDE = 112;

export async function attention(subject: Subject): Promise<Found> {
  const { roles, source, choices, test } = subject;
  const chosen = await chosenImages(subject);
  const models = [];
  const tiles: Tile[][][] = [];
  for (const role of roles) {
    const planar = await Promise.all(chosen.map(({ pixels }) => pixels(role)));
    const { images, ...read } = await observeAttention(source(role), planar, choices.rollout);
    const named = images.map((image, i) => ({ name: chosen[i]!.name, label: chosen[i]!.label, ...image }));
    models.push({ role, backbone: test.models[role]!.backbone.name, ...read, images: named });
    const row = (image: ObservedImage, i: number) => rowOf(subject, role, chosen[i]!, planar[i]!, image);
    tiles.push(await Promise.all(images.map(row)));
  }
  const heads = Math.max(...models.flatMap(({ images }) => images.map((image) => image.heads.length)));
  const sheet = drawSheet({
    title: 'Where the models look',
    subtitle: [
      models
        .map(({ role, backbone, reader, block }) => `${role} ${backbone}: ${reader}, block ${block + 1}`)
        .join('; '),
      'Below each image: the model, its answer with its probability, what it is. Each map has the scale of its own.',
    ],
    columns: [
      ...['image', 'mean of heads'],
      ...(choices.rollout ? ['rollout'] : []),
      ...Array.from({ length: heads }, (_, h) => `head ${h + 1}`),
    ],
    rows: chosen.flatMap((_, i) => tiles.map((rows) => rows[i]!)),
    side: SIDE,
    scale: ['least attention', 'most attention'],
  });
  const says = `${chosen.length} images, all heads and their mean, of the ${models[0]!.reader}`;
  return { says, report: { models }, charts: { attention: sheet } };
}

/** The image, the mean of its maps, rollout where it was asked for, each head. */
async function rowOf(
  { run, test }: Subject,
  role: Role,
  { name, label }: ChosenImage,
  planar: Uint8Array,
  { logits, grid, heads, mean, rollout }: ObservedImage,
): Promise<Tile[]> {
  const picture = pictureOf(planar, test.models[role]!.backbone.config.imageSize, SIDE);
  const best = argmax(logits, 0, logits.length);
  const p = probabilities({ logits: Float32Array.from(logits), classes: logits.length })[best]!;
  const captions = [
    role,
    `${Math.round(100 * p)} % ${run.classes[best]}`,
    label === null ? ending(name, 16) : `is ${label}`,
  ];
  const maps = [mean, ...(rollout ? [rollout] : []), ...heads];
  const overlays = await Promise.all(maps.map((map) => addressOf(overlay(picture, map, grid))));
  return [{ href: await addressOf(picture), captions }, ...overlays.map((href) => ({ href, captions: [] }))];
}

interface ChosenImage {
  readonly name: string;
  /** Of test images. */
  readonly label: string | null;
  /** Bytes [3, height, width], as the model reads them. */
  pixels(role: Role): Promise<Uint8Array>;
}

/** Those given, or the first test image of each of the first classes. */
async function chosenImages({ run, test, choices }: Subject): Promise<ChosenImage[]> {
  const { images } = choices;
  if (images !== undefined) {
    if (images.length === 0)
      throw new IdatError('analysis.images', 'attention: no images given; give some, or leave them out');
    return Promise.all(
      images.map(async (source, at) => {
        const name = nameOfSource(source, at);
        const image = await readImage(source, { orient: run.plan.images.orient, name });
        return {
          name,
          label: null,
          pixels: async (role: Role) => preprocess(image, test.models[role]!.backbone.config.imageSize),
        };
      }),
    );
  }
  const { labels, names } = test.pixels.student;
  const firsts = run.classes.map((_, k) => labels.indexOf(k)).filter((index) => index >= 0);
  return firsts.slice(0, CHOSEN).map((index) => ({
    name: names[index]!,
    label: run.classes[labels[index]!]!,
    pixels: (role) => test.pixels[role]!.read([index]),
  }));
}
