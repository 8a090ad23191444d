// What is packed: an installed project, made ready to run on a machine that has nothing but glibc.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runNode } from '../../scripts/lib/run.mjs';
import { root } from '../../scripts/lib/workspace.mjs';
import { buildGpuBench } from './build-gpu-bench.mjs';

const launcher = fileURLToPath(new URL('musubi.sh', import.meta.url));
/** What bench/gpu.sh compares with. */
const golden = ['models/wan', 'runs/wan_t2v'];

const libraries = (bundle) => join(bundle, 'node_modules', 'onnxruntime-node', 'bin', 'napi-v6', 'linux', 'x64');

/**
 * Why the Node.js that runs this cannot go with the bundle, or null. It is taken, not one of a package, because whoever packs
 * trusts it already; npm has copies of Node.js from others than its makers only.
 */
export function whyNodeIsUnfit() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `the bundle is for Linux x64 and takes the Node.js that packs it; this one is for ${process.platform} ${process.arch}.`;
  // in a process of its own, which has loaded no add-on
  const report = spawnSync(process.execPath, ['-p', 'JSON.stringify(process.report.getReport())'], {
    encoding: 'utf8',
  });
  const { header, sharedObjects } = JSON.parse(report.stdout);
  const remedy = 'Pack with one from nodejs.org.';
  if (!header.glibcVersionRuntime) return `this Node.js was built for another C library than glibc. ${remedy}`;
  const foreign = sharedObjects.filter((path) => !systemLibrary.test(path));
  return foreign.length === 0 ? null : `this Node.js needs ${foreign.join(', ')}, which other machines lack. ${remedy}`;
}

const systemLibrary =
  /^linux-vdso\.so|\/(?:ld-linux-x86-64|lib(?:c|m|dl|rt|pthread|gcc_s|stdc\+\+|atomic))(?:-[\d.]+)?\.so/;

/** The pair of runtime and provider that `musubi doctor --fix cuda` places, checked by it. */
export function placeCuda(bundle) {
  const program = join(bundle, 'node_modules', '@musubi', 'cli', 'dist', 'bin.js');
  if (!runNode(program, ['doctor', '--fix', 'cuda', '--yes'], { cwd: bundle }).ok)
    throw new Error('musubi doctor --fix cuda failed; see above. --no-cuda packs without it.');
  rmSync(`${libraries(bundle)}.before-cuda`, { recursive: true });
}

/** Adds Node.js, golden vectors, the bench and the launcher to an installed project, and takes out what Linux x64 does not need. */
export async function completeBundle(bundle) {
  if (!existsSync(libraries(bundle))) throw new Error('npm left onnxruntime-node out of the installation.');
  removeOtherPlatforms(bundle);
  // They have paths of this machine.
  for (const file of ['package-lock.json', 'node_modules/.package-lock.json'])
    rmSync(join(bundle, file), { force: true });
  writeFileSync(
    join(bundle, 'package.json'),
    `${JSON.stringify({ private: true, type: 'module', commit: commit() })}\n`,
  );

  addProgram(process.execPath, join(bundle, 'node', 'bin', 'node'));
  addProgram(launcher, join(bundle, 'musubi'));
  addProgram(join(root, 'bench', 'gpu.sh'), join(bundle, 'bench', 'gpu.sh'));
  await buildGpuBench(join(bundle, 'bench', 'gpu'));
  for (const folder of golden)
    cpSync(join(root, 'golden', folder), join(bundle, 'golden', folder), { recursive: true });
}

function removeOtherPlatforms(bundle) {
  const platforms = dirname(dirname(libraries(bundle)));
  for (const platform of readdirSync(platforms))
    if (platform !== 'linux') rmSync(join(platforms, platform), { recursive: true });
  for (const arch of readdirSync(join(platforms, 'linux')))
    if (arch !== 'x64') rmSync(join(platforms, 'linux', arch), { recursive: true });
}

function addProgram(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

/** What was packed, so that figures of another machine can be told apart; null where there is no git. */
function commit() {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}
