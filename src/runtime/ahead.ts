/** Preparing what a run needs next while the one before is still at work. */

/** The same items, each asked for while the one before it is still being worked on. */
export async function* ahead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next();
  try {
    for (let item = await next; !item.done; item = await next) {
      next = nextTask().then(() => source.next()); // after the runtime has got this item
      next.catch(() => {}); // reported when it is awaited
      yield item.value;
    }
  } finally {
    await next.catch(() => {});
  }
}

/** Lets all that is ready to run go first. A timer would wait a millisecond or more; this does on every platform alike. */
const nextTask = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    const onmessage = () => {
      port1.close();
      resolve();
    };
    Object.assign(port1, { onmessage }); // which also starts it; Node's types do not know of it
    port2.postMessage(null);
  });
