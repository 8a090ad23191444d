import type { ProductDtype } from '@musubi/onnx-graph';

import { execFile } from 'node:child_process';

import { RuntimeError } from '../error.ts';
import { executionProvider } from '../session-options.ts';
import { judge, smallModel } from '../small-model.ts';
import { loadError } from './engine.ts';

/** What became of a small model on an execution provider. */
export interface ProviderProbe {
  readonly provider: string;
  /** `fails`: it says why; `crashes`: its process ended; `hangs`: it did not answer; `differs`: its numbers are wrong. */
  readonly state: 'works' | 'fails' | 'crashes' | 'hangs' | 'differs';
  readonly reason: string | null;
  /** Of its outputs, which lie between 0 and 1. */
  readonly largestError: number | null;
}

export interface ProbeOptions {
  /** File of the ONNX Runtime module, e.g. `path` of `findEngine`. */
  readonly enginePath: string;
  /** Default 60 s: some providers compile their kernels first. */
  readonly timeoutMs?: number;
  /** Which device of the provider, default 0: its first. */
  readonly deviceId?: number;
  /** Number type of the model's matrix product, default float32. */
  readonly products?: ProductDtype;
}

/**
 * The execution providers that a build of ONNX Runtime knows, whether or not they can be used. It is loaded in a process of
 * its own, which may crash.
 *
 * @throws {RuntimeError} `ENGINE_LOAD_FAILED`, `ENGINE_UNSUPPORTED_PLATFORM`
 */
export async function listProviders(options: ProbeOptions): Promise<string[]> {
  const reply = await ask(options, '', '', '');
  if ('providers' in reply) return reply.providers;
  const reason =
    'error' in reply ? reply.error : 'ended' in reply ? `its process ${reply.ended}` : 'it answers nothing';
  throw loadError(Object.assign(new Error(reason), 'code' in reply ? { code: reply.code } : {}));
}

/**
 * Runs a small model on one device of a provider, in a process of its own, and compares its numbers. Nodes may not fall back to the CPU.
 */
export async function probeProvider(provider: string, options: ProbeOptions): Promise<ProviderProbe> {
  const { products = 'float32', deviceId } = options;
  const { model, x, expected } = smallModel(products);
  const feed = JSON.stringify({ dims: x.shape, data: Array.from(x.data) });
  const reply = await ask(
    options,
    JSON.stringify(executionProvider(provider, deviceId)),
    Buffer.from(model).toString('base64'),
    feed,
  );
  const probe = { provider, reason: null, largestError: null };
  if ('ended' in reply) {
    return { ...probe, state: reply.isLate ? 'hangs' : 'crashes', reason: `its process ${reply.ended}` };
  }
  if ('error' in reply) return { ...probe, state: 'fails', reason: firstLine(reply.error) };
  return { provider, ...judge('values' in reply ? reply.values : [], expected, products) };
}

type Reply =
  | { readonly providers: string[] }
  | { readonly values: readonly number[] }
  | { readonly error: string; readonly code?: string }
  /** Nothing came: how the process ended. */
  | { readonly ended: string; readonly isLate: boolean };

/**
 * The child's program is text, so that it needs no file of its own: it runs from the sources, from the built package and from
 * bundles alike.
 */
const program = `
const [engine, provider, model, feed] = process.argv.slice(1);
const reply = (value) => process.stdout.write('\\nreply ' + JSON.stringify(value) + '\\n', () => process.exit(0));
async function main() {
  const ort = require(engine);
  if (provider === '') return { providers: ort.listSupportedBackends().map(({ name }) => name) };
  const session = await ort.InferenceSession.create(Buffer.from(model, 'base64'), {
    executionProviders: [JSON.parse(provider)],
    logSeverityLevel: 3,
    ...(provider === '"cpu"' ? {} : { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
  });
  const { dims, data } = JSON.parse(feed);
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.from(data), dims) });
  return { values: Array.from(y.data) };
}
main().then(reply, (error) => reply({ error: String(error && error.message || error), code: error && error.code }));
`;

function ask(
  { enginePath, timeoutMs = 60_000 }: ProbeOptions,
  provider: string,
  model: string,
  feed: string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const args = ['-e', program, enginePath, provider, model, feed];
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', windowsHide: true } as const;
    execFile(process.execPath, args, options, (error, stdout) => {
      const line = /^reply (.*)$/m.exec(stdout)?.[1];
      if (line !== undefined) return resolve(JSON.parse(line) as Reply);
      if (error && typeof error.code === 'string') {
        const found = `Node.js cannot start a process of its own: ${error.message}.`;
        return reject(new RuntimeError('INTERNAL', found, 'Allow it to start processes.', {}, { cause: error }));
      }
      const isLate = error?.killed === true;
      const seconds = Math.round(timeoutMs / 1000);
      const how = error?.signal ? `was ended by ${error.signal}` : `ended with code ${error?.code ?? 0}`;
      resolve({ ended: isLate ? `did not answer within ${seconds} s` : how, isLate });
    });
  });
}

/** Without the C++ file, function and condition that precede some messages. */
function firstLine(text: string): string {
  const [line = ''] = text.split('\n');
  return line.replace(/^\/onnxruntime_src\/\S+:\d+ (?:.* was false\. |.*?\) (?=[A-Z]))/, '').trim();
}
