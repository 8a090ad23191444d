import type { Runtime } from '@musubi/runtime';

import { createNodeRuntime } from '@musubi/runtime/node';

import type { Closing } from './open-parts.ts';

/** The runtime given, or one of its own that is closed when the run ends. */
export async function openRuntime(given: Runtime | undefined, closing: Closing): Promise<Runtime> {
  if (given) return given;
  const runtime = await createNodeRuntime();
  closing.push(() => runtime.close());
  return runtime;
}
