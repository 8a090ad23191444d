/** Yields `load(plan)` in the order of the plans; the next `ahead` are under way while one is in use. */
export async function* readAhead<Plan, Loaded>(
  plans: Iterable<Plan>,
  load: (plan: Plan) => Promise<Loaded>,
  ahead = 1,
): AsyncGenerator<Loaded, void, undefined> {
  const rest = plans[Symbol.iterator]();
  const pending: Promise<Loaded>[] = [];
  const fill = () => {
    while (pending.length < ahead) {
      const next = rest.next();
      if (next.done === true) return;
      const loading = load(next.value);
      loading.catch(() => {}); // reported when its turn comes, or never when the caller stops before
      pending.push(loading);
    }
  };
  try {
    fill();
    for (let current = pending.shift(); current !== undefined; current = pending.shift()) {
      const loaded = await current;
      fill();
      yield loaded;
    }
  } finally {
    await Promise.allSettled(pending); // leaves no file open behind
  }
}
