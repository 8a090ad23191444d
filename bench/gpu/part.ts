// One part of the bench in a process of its own, which a driver may end: JSON request in argv, JSON result on stdout.
import type { BaseName, Measured, PartRequest } from './request.ts';

import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { endWithParent } from '../scratch.ts';
import { measureGolden } from './golden.ts';
import { measureProducts } from './products.ts';
import { measureStep } from './step.ts';
import { measureRun } from './whole-run.ts';

endWithParent();
const request = JSON.parse(process.argv[2] ?? '{}') as PartRequest;
const { part, folder } = request;
process.chdir(folder);
try {
  const measured = await measure();
  console.log(`\nresult ${JSON.stringify({ measured })}`);
} catch (error) {
  console.log(`\nresult ${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}`);
}
// a thread that a failed part left behind must not keep the process alive
process.exit();

async function measure(): Promise<Measured> {
  if (part.startsWith('run')) return measureRun(request);
  const runtime = await createNodeRuntime();
  if (part === 'products') return measureProducts(request, runtime);
  const [kind = '', of = ''] = part.split('_');
  const base = (of === 'tf32' ? 'float32' : of) as BaseName;
  return kind === 'golden' ? measureGolden(part, base, request, runtime) : measureStep(base, request, runtime);
}
