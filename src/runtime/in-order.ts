/** Several runs at a time, whose outcomes come in the order in which they were begun. */

/**
 * Runs something on one item after the other, up to `atOnce` at a time.
 * @returns each item with its outcome, in the items' order, so that sums over them are the same however many run at once
 */
export async function* inOrder<Item, Outcome>(
  items: AsyncIterable<Item> | Iterable<Item>,
  atOnce: number,
  run: (item: Item) => Promise<Outcome>,
): AsyncGenerator<[Item, Outcome]> {
  const running: { item: Item; outcome: Promise<Outcome> }[] = [];
  try {
    for await (const item of items) {
      const outcome = run(item);
      outcome.catch(() => {}); // reported when it is awaited
      running.push({ item, outcome });
      if (running.length === atOnce) yield* oldest(running);
    }
    while (running.length > 0) yield* oldest(running);
  } finally {
    await Promise.allSettled(running.map(({ outcome }) => outcome));
  }
}

async function* oldest<Item, Outcome>(
  running: { item: Item; outcome: Promise<Outcome> }[],
): AsyncGenerator<[Item, Outcome]> {
  const { item, outcome } = running.shift()!;
  yield [item, await outcome];
}
