import type { Runtime, Session, SessionRequest } from '@musubi/runtime';

import type { RunStep } from '../train.ts';
import type { PlacementWatch } from './check-placement.ts';
import type { Closing } from './open-parts.ts';

export interface TrainingSessionsOptions {
  /** Of the only model or of the one for low noise, then of the one for high noise. */
  readonly requests: readonly SessionRequest[];
  /** Keep only the session of the model in use (`--offload_inactive_dit`). */
  readonly offloadInactive: boolean;
  /** Watches the first step of each, on a device other than the CPU. */
  readonly watches?: readonly PlacementWatch[];
}

/**
 * Sessions of the training graphs, released when the run ends.
 *
 * Without `offloadInactive` all are created at once, so that a model that does not load ends the run before it trains.
 */
export async function openTrainingSessions(
  runtime: Runtime,
  { requests, offloadInactive, watches = [] }: TrainingSessionsOptions,
  closing: Closing,
): Promise<RunStep> {
  const sessions = new Map<number, Session>();
  const unwatched = new Map(watches.entries());
  const releaseAll = async (): Promise<void> => {
    for (const [index, session] of sessions) {
      sessions.delete(index);
      await session.release();
    }
  };
  closing.push(releaseAll);

  const use = async (index: number): Promise<Session> => {
    const ready = sessions.get(index);
    if (ready) return ready;
    const request = requests[index];
    if (!request) throw new Error(`internal: there is no training graph ${index}.`);
    if (offloadInactive) await releaseAll();
    const profileFilePrefix = unwatched.get(index)?.profileFilePrefix;
    const session = await runtime.createSession({ ...request, ...(profileFilePrefix ? { profileFilePrefix } : {}) });
    sessions.set(index, session);
    return session;
  };
  for (const index of offloadInactive ? [0] : requests.keys()) await use(index);
  return async (feeds, isHighNoise) => {
    const index = isHighNoise ? 1 : 0;
    const session = await use(index);
    const outputs = await session.run(feeds);
    const watch = unwatched.get(index);
    unwatched.delete(index);
    await watch?.afterFirstRun(session, feeds, outputs);
    return outputs;
  };
}
