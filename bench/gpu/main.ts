// `bench/gpu.sh`: every part in a process of its own; one that fails leaves its reason in the JSON in place of its figures.
import type { Readable } from 'node:stream';

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import type { DoctorReport } from '../../packages/cli/src/doctor/examine.ts';
import type { Provider } from '../../packages/runtime/src/index.ts';
import type { Measured, PartName, PartRequest } from './request.ts';

import { examineMachine } from '../../packages/cli/src/doctor/examine.ts';
import { thisMachine } from '../../packages/cli/src/doctor/machine.ts';
import { inScratchFolder } from '../scratch.ts';
import { parts } from './request.ts';

const usage = `usage: bench/gpu.sh [--device cuda] [--json gpu-bench.json] [PART…]
parts: ${parts.join(', ')}; default: all
MUSUBI_BENCH_SMALL=1 tries it with small models.`;
const devices = ['cuda', 'cpu', 'webgpu'] as const;
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);
/** A card needs seconds for a part; what hangs must not take the others along. */
const patienceSeconds = 900;

const { device, json, asked } = readArguments();
const report = await examineMachine(thisMachine());
const results: Record<string, number | string> = { device, ...factsOf(report) };
for (const [name, value] of Object.entries(results)) console.log(`${name}: ${value}`);

let failed = 0;
const unusable = whyUnusable(report);
if (unusable !== null) record({ failed_device: unusable });
else {
  for (const part of asked) {
    console.log(`\n${part} …`);
    record(await measure(part));
  }
}
console.log(`\n${json}: ${failed === 0 ? 'nothing' : failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** What is measured stays, whatever comes after it. */
function record(measured: Measured): void {
  for (const [name, value] of Object.entries(measured)) {
    console.log(`  ${name}: ${value}`);
    if (name.startsWith('failed_')) failed++;
  }
  Object.assign(results, measured);
  writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
}

async function measure(part: PartName): Promise<Measured> {
  try {
    return await inScratchFolder((folder) => runPart({ part, device, folder, isSmall }));
  } catch (error) {
    return { [`failed_${part}`]: error instanceof Error ? error.message : String(error) };
  }
}

async function runPart(request: PartRequest): Promise<Measured> {
  const script = fileURLToPath(new URL(`part${extname(import.meta.url)}`, import.meta.url));
  // float32 as such: by default NVIDIA's libraries multiply with mantissas of 10 bits (TF32), which golden_tf32 measures
  const env = request.part === 'golden_float32' ? { ...process.env, NVIDIA_TF32_OVERRIDE: '0' } : process.env;
  const child = spawn(process.execPath, [...process.execArgv, script, JSON.stringify(request)], { env });
  const [said, complained] = [child.stdout, child.stderr].map(collect) as [() => string, () => string];
  let isLate = false;
  const patience = setTimeout(() => (isLate = child.kill('SIGKILL')), 1000 * patienceSeconds);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(patience);
  const line = /^result (.*)$/m.exec(said())?.[1];
  if (line === undefined) {
    const end = isLate ? `took more than ${patienceSeconds} s` : `ended with ${signal ?? code}`;
    throw new Error([`its process ${end}`, complained().trim().split('\n').at(-1)].filter(Boolean).join(': '));
  }
  const { measured, error } = JSON.parse(line) as { measured?: Measured; error?: string };
  if (measured === undefined) throw new Error(error);
  return measured;
}

function collect(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return () => text;
}

function whyUnusable({ facts, findings }: DoctorReport): string | null {
  const probe = facts.providers.find(({ provider }) => provider === device);
  if (probe?.state === 'works') return null;
  const said = findings.filter(({ code }) => /CUDA|GPU|RUNTIME/.test(code)).map(({ message }) => message);
  return [probe?.reason ?? `ONNX Runtime has no provider ${device} here`, ...said, 'musubi doctor says more.'].join(
    ' ',
  );
}

function factsOf({ facts }: DoctorReport): Record<string, string> {
  const { node, system, processor, runtime, gpus, cuda } = facts;
  const [gpu] = gpus;
  return {
    gpu: gpu?.name ?? 'none found',
    ...(gpu?.memoryMiB ? { gpu_memory: `${gpu.memoryMiB} MiB` } : {}),
    driver: cuda?.driver ?? gpu?.driver ?? 'none found',
    driver_cuda: cuda?.driverCuda ?? 'none found',
    ...Object.fromEntries(Object.entries(cuda?.libraries ?? {}).map(([name, path]) => [name, path ?? 'not found'])),
    runtime: runtime === null ? 'none found' : (libraryVersion(runtime.path) ?? runtime.version ?? 'unknown'),
    node,
    system: `${system.platform} ${system.arch} ${system.release}, glibc ${system.glibc}`,
    processor: `${processor.name}, ${processor.allowed} cores`,
    commit: readCommit(),
    ...(isSmall ? { sizes: 'small, for trying the bench' } : {}),
  };
}

/** The version of ONNX Runtime itself: beside the CUDA provider it may be another than that of its package. */
function libraryVersion(enginePath: string): string | null {
  const library = join(
    dirname(enginePath),
    '..',
    'bin',
    'napi-v6',
    process.platform,
    process.arch,
    'libonnxruntime.so.1',
  );
  if (!existsSync(library)) return null;
  const bytes = readFileSync(library);
  // the name of its symbols' version
  const at = bytes.indexOf('VERS_1.');
  return at < 0 ? null : (/^VERS_([\d.]+)/.exec(bytes.toString('latin1', at, at + 32))?.[1] ?? null);
}

/** Of the repository, or what the bundle says of it. */
function readCommit(): string {
  const root = new URL('../../', import.meta.url);
  const { commit } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { commit?: string };
  if (commit !== undefined) return commit;
  const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: fileURLToPath(root), encoding: 'utf8' });
  return stdout?.trim() || 'unknown';
}

function readArguments(): { device: Provider; json: string; asked: readonly PartName[] } {
  try {
    const options = {
      device: { type: 'string', default: 'cuda' },
      json: { type: 'string', default: 'gpu-bench.json' },
    } as const;
    const { values, positionals } = parseArgs({ allowPositionals: true, options });
    const chosen = devices.find((name) => name === values.device);
    if (chosen === undefined) throw new Error(`there is no device ${values.device}, only ${devices.join(', ')}`);
    const unknown = positionals.filter((name) => !(parts as readonly string[]).includes(name));
    if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}`);
    // TF32 is NVIDIA's
    const all = parts.filter((part) => chosen === 'cuda' || part !== 'golden_tf32');
    return {
      device: chosen,
      json: resolve(values.json),
      asked: positionals.length > 0 ? (positionals as PartName[]) : all,
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    process.exit(2);
  }
}
