import { readFile } from 'node:fs/promises';

import { CliError } from './errors.ts';

/** Nodes of one operator that ran on one provider. */
export interface ProfiledOperator {
  readonly operator: string;
  /** E.g. `CPU`, `CUDA`, `WebGpu`. */
  readonly provider: string;
  /** Over all runs in the profile. */
  readonly count: number;
  readonly seconds: number;
}

/**
 * What ran where, from a profile that ONNX Runtime wrote, longest first.
 *
 * @throws {CliError} `USAGE` where the file is none
 */
export async function readProfile(path: string): Promise<ProfiledOperator[]> {
  const events = parse(await readFile(path, 'utf8').catch(notRead(path)), path);
  const found = new Map<string, ProfiledOperator>();
  for (const { cat, name, dur, args } of events) {
    const { op_name: operator, provider } = args ?? {};
    if (cat !== 'Node' || typeof name !== 'string' || !name.endsWith('_kernel_time')) continue;
    if (typeof operator !== 'string' || typeof provider !== 'string') continue;
    const key = `${operator} ${provider}`;
    const { count = 0, seconds = 0 } = found.get(key) ?? {};
    found.set(key, {
      operator,
      provider: provider.replace(/ExecutionProvider$/, ''),
      count: count + 1,
      seconds: seconds + (typeof dur === 'number' ? dur : 0) / 1e6,
    });
  }
  if (found.size === 0) throw unusable(path, 'it has no times of nodes');
  return [...found.values()].toSorted((a, b) => b.seconds - a.seconds);
}

/** Any JSON may be there. */
interface Event {
  readonly cat?: unknown;
  readonly name?: unknown;
  /** Microseconds. */
  readonly dur?: unknown;
  readonly args?: { readonly op_name?: unknown; readonly provider?: unknown } | null;
}

function parse(text: string, path: string): readonly Event[] {
  try {
    const content: unknown = JSON.parse(text);
    if (Array.isArray(content)) return content.filter((event) => typeof event === 'object' && event !== null);
  } catch {
    // said below
  }
  throw unusable(path, 'it is no list of events');
}

/** A file that is not there, say. */
const notRead =
  (path: string) =>
  (cause: unknown): never => {
    throw unusable(path, cause instanceof Error ? cause.message : String(cause));
  };

const unusable = (path: string, reason: string): CliError =>
  new CliError('USAGE', `profile = "${path}": ${reason}.`, 'Give a file that ONNX Runtime wrote with profiling on.');
