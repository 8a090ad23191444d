// One measurement of session options in a process of its own: JSON request in argv, JSON result on stdout.
import type { MemoryPlan } from '../../packages/runtime/src/index.ts';

import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { median } from '../harness.ts';
import { watchMemory } from '../peak-memory.ts';
import { endWithParent } from '../scratch.ts';
import { type Settings, type Subject, type SubjectRequest, openSubject } from './subject.ts';

/** An option of a session. */
export type Option = Exclude<keyof MemoryPlan, 'threads'> | 'optimization';

export type Request = SubjectRequest & {
  /** Sessions to open, as their difference from what `planMemory` chooses: an option that is the other way, or none. */
  readonly settings: readonly (Option | 'plan')[];
  readonly rounds: number;
};

export interface Result {
  /** Seconds of the last setting over those of the first, of the same round: median. */
  readonly ratio: number;
  /** Most anonymous memory above that before the sessions were opened. */
  readonly bytes: number;
}

endWithParent();
const request = JSON.parse(process.argv[2] ?? '{}') as Request;
const runtime = await createNodeRuntime();
const result = await measure(await openSubject(request, runtime), request);
await runtime.close();
console.log(JSON.stringify(result));

/** The arena grows in the first two rounds: what lies where differs between them. */
const warmUps = 2;

async function measure(subject: Subject, { settings, rounds }: Request): Promise<Result> {
  const memory = watchMemory();
  const runs: (() => Promise<unknown>)[] = [];
  for (const setting of settings) runs.push(await subject.open(changed(subject.plan, setting)));
  const rows: number[][] = [];
  for (let round = 0; round < warmUps + rounds; round++) {
    const row: number[] = [];
    for (const run of runs) row.push(await secondsOf(run));
    if (round >= warmUps) rows.push(row);
  }
  return {
    ratio: median(rows.map((row) => row.at(-1)! / row[0]!)),
    bytes: memory.stop().anonymousBytes,
  };
}

function changed(plan: MemoryPlan, setting: Option | 'plan'): Settings {
  if (setting === 'plan') return plan;
  if (setting === 'optimization') return { ...plan, optimization: 'extended' };
  return { ...plan, [setting]: !plan[setting] };
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}
