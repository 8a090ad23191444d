// `pnpm bundle --out FOLDER [--part-size 40MB] [--no-cuda]`: the command line tool with all it needs on Linux x64, for
// machines without internet: Node.js, the packages as npm installs them, ONNX Runtime, the CUDA provider that
// `musubi doctor --fix cuda` places, golden vectors and bench/gpu.sh. One archive in parts, and a script that unpacks it.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensurePnpm, runPnpm } from '../../scripts/lib/package-managers.mjs';
import { packPackages, installTarballs } from '../../scripts/lib/packed-packages.mjs';
import { readPackages } from '../../scripts/lib/workspace.mjs';
import { writeParts } from './parts.mjs';
import { completeBundle, placeCuda, whyNodeIsUnfit } from './stage.mjs';

const usage = 'usage: pnpm bundle --out FOLDER [--part-size 40MB] [--no-cuda]';
const folder = mkdtempSync(join(tmpdir(), 'musubi-bundle-'));
const remove = () => rmSync(folder, { recursive: true, force: true });
process.once('exit', remove);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

try {
  const { out, partBytes, hasCuda } = readArguments();
  const unfit = whyNodeIsUnfit();
  if (unfit !== null) throw new Error(unfit);

  console.log('Building the packages');
  ensurePnpm();
  if (!runPnpm(['exec', 'turbo', 'run', 'build', '--output-logs=errors-only']).ok) throw new Error('the build failed');

  console.log('Installing them, with what they need');
  const bundle = join(folder, 'musubi');
  const released = readPackages().filter(({ manifest }) => !manifest.private);
  installTarballs(bundle, packPackages(released, join(folder, 'tarballs')));
  if (hasCuda) placeCuda(bundle);
  await completeBundle(bundle);

  console.log('Compressing');
  report(out, await writeParts(bundle, out, { partBytes }));
} catch (error) {
  console.error(`bundle: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

function readArguments() {
  const options = {
    out: { type: 'string' },
    'part-size': { type: 'string', default: '40MB' },
    'no-cuda': { type: 'boolean', default: false },
  };
  let values;
  try {
    ({ values } = parseArgs({ options, strict: true }));
  } catch (error) {
    throw new Error(`${error.message}\n${usage}`, { cause: error });
  }
  if (!values.out) throw new Error(`--out names no folder\n${usage}`);
  if (existsSync(values.out)) throw new Error(`${values.out} is there already: name a folder that is not.`);
  const size = /^(\d+(?:\.\d+)?)\s*MB$/i.exec(values['part-size'])?.[1];
  if (!(Number(size) >= 1)) throw new Error(`--part-size is ${values['part-size']}, expected e.g. 40MB, at least 1MB`);
  return { out: resolve(values.out), partBytes: Math.floor(Number(size) * 1e6), hasCuda: !values['no-cuda'] };
}

function report(out, { parts, bytes, unpackedBytes }) {
  console.log(`${out}: ${parts.length} parts, ${megabytes(bytes)}; unpacked ${megabytes(unpackedBytes)}
On the other machine, with all of these files in one folder:
    sh ${basename(out)}/unpack.sh musubi
    musubi/musubi doctor
    musubi/bench/gpu.sh`);
}

function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}
