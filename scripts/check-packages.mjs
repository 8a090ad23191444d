// Checks that every package has the shape described in CONTRIBUTING.md.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import { join, relative } from 'node:path';
import { build, transform } from 'esbuild';
import { createChecklist, runAsScript } from './lib/run.mjs';
import { entriesOf, readPackages, root } from './lib/workspace.mjs';

/**
 * What each package may bring along when it is installed, apart from optional peers. A package that is not in this table
 * is an error, so that every new dependency is a decision.
 */
const allowedDependencies = {
  autodiff: ['@musubi/onnx-graph', '@musubi/safetensors'],
  cli: [
    '@expo-google-fonts/inter',
    '@musubi/config',
    '@musubi/dataset',
    '@musubi/lora',
    '@musubi/onnx-graph',
    '@musubi/quant-fp8',
    '@musubi/random',
    '@musubi/runtime',
    '@musubi/safetensors',
    '@musubi/samplers',
    '@musubi/schedulers',
    '@musubi/tracking',
    '@musubi/trainer',
    '@resvg/resvg-js',
    'onnxruntime-node',
  ],
  config: ['fastest-levenshtein', 'smol-toml'],
  dataset: ['@musubi/config', '@musubi/random', '@musubi/safetensors', 'sharp', 'smol-toml', 'tinypool'],
  lora: ['@musubi/safetensors'],
  magcache: [],
  models: ['@musubi/onnx-graph', '@musubi/safetensors'],
  'onnx-graph': ['@bufbuild/protobuf', 'onnx-buf'],
  optimizers: [],
  'quant-fp8': ['@musubi/safetensors'],
  random: [],
  runtime: ['@musubi/onnx-graph', 'onnxruntime-common'],
  safetensors: [],
  samplers: [],
  schedulers: [],
  tokenizer: ['@huggingface/tokenizers', '@musubi/safetensors', 'entities'],
  tracking: [],
  trainer: [
    '@musubi/autodiff',
    '@musubi/config',
    '@musubi/dataset',
    '@musubi/lora',
    '@musubi/models',
    '@musubi/onnx-graph',
    '@musubi/optimizers',
    '@musubi/quant-fp8',
    '@musubi/random',
    '@musubi/runtime',
    '@musubi/safetensors',
    '@musubi/samplers',
    '@musubi/schedulers',
    '@musubi/tokenizer',
    '@musubi/tracking',
  ],
};

/** Packages that need Node.js. Of all others the entries are bundled for the browser below. */
const nodeOnly = ['cli'];

/** Packages that promise to be small, with the most that their main entry may have, minified and gzipped, in bytes. */
const sizeBudgets = { magcache: 10_000, samplers: 10_000, schedulers: 10_000 };

/** Longest README in lines: two screens. */
const readmeLines = 120;

const readmeParts = [
  {
    part: 'how to install it (npm install NAME or npx NAME)',
    pattern: (name) => new RegExp(`(npm (i|install) .*|npx )${name}`),
  },
  { part: 'an example (a ts block, for the command line an sh block)', pattern: () => /^```(ts|sh)$/m },
  { part: 'a table of what it offers', pattern: () => /^\|.*\|\r?\n\| ?:?-/m },
  { part: 'a heading "Where it runs"', pattern: () => /^#+ .*where it runs/im },
  { part: 'a heading "What it does not do"', pattern: () => /^#+ .*what it does not do/im },
];

export async function checkPackages() {
  const total = { passed: 0, failed: 0 };
  for (const pack of readPackages()) {
    const { holds, counts } = createChecklist();
    await checkPackage(pack, (problem, ok) => holds(`packages/${pack.name}: ${problem}`, ok));
    total[counts.failed === 0 ? 'passed' : 'failed']++;
  }
  return total;
}

async function checkPackage(pack, say) {
  const { name, folder, manifest } = pack;
  const read = (file) => (existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '');

  checkManifest(pack, say);
  say(
    'LICENSE differs from the one of the repository',
    read('LICENSE') === readFileSync(join(root, 'LICENSE'), 'utf8'),
  );
  say(
    'tsup.config.ts should be two lines: the import of library and export default library(...)',
    /^import \{ library \} from '\.\.\/\.\.\/tsup\.base\.ts';\nexport default library\([^;]*\);\n$/.test(
      read('tsup.config.ts'),
    ),
  );
  say(
    'tsconfig.json does not extend ../../tsconfig.base.json',
    read('tsconfig.json').includes('"../../tsconfig.base.json"'),
  );

  const sources = readSources(folder);
  const empty = sources.get('index.ts')?.trim() === 'export {};';
  if (empty) say('src/index.ts exports nothing: set "private": true until it does', manifest.private === true);
  if (manifest.private) {
    say(
      'README.md of a private package says that it is "not released yet"',
      /not released yet/i.test(read('README.md')),
    );
    console.log(`  packages/${name} is not released yet: only its form is checked`);
  }
  if (empty || manifest.private) return;
  checkReadme(pack, read('README.md'), say);
  checkDependencies(pack, sources, say);
  if (!nodeOnly.includes(name)) await checkBrowser(pack, say);
}

function checkManifest({ name, manifest }, say) {
  const expected = {
    name: `@musubi/${name}`,
    license: 'Apache-2.0',
    repository: { type: 'git', url: 'git+https://github.com/musubi-ts/musubi-ts.git', directory: `packages/${name}` },
    type: 'module',
    engines: { node: '>=20.19' },
    files: ['dist', 'src', '!src/**/*.test.ts'],
  };
  for (const [field, value] of Object.entries(expected)) {
    const found = JSON.stringify(manifest[field]);
    say(
      `package.json: ${field} is ${found}, expected ${JSON.stringify(value)}`,
      isDeepStrictEqual(manifest[field], value),
    );
  }
  say('package.json: description is missing', Boolean(manifest.description));
  say(
    'package.json: sideEffects is not stated',
    typeof manifest.sideEffects === 'boolean' || Array.isArray(manifest.sideEffects),
  );
  say('package.json: exports lacks "./package.json"', manifest.exports?.['./package.json'] === './package.json');
  for (const { subpath, source } of entriesOf({ manifest })) {
    const file = subpath === '.' ? 'index' : subpath.slice(2);
    const built = { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` };
    const whole = { '@musubi/source': source, ...built };
    say(
      `package.json: exports["${subpath}"] should be "@musubi/source": "./src/…", then types and default of dist/${file}`,
      typeof source === 'string' && source.startsWith('./src/') && sameInOrder(manifest.exports[subpath], whole),
    );
    say(
      `package.json: publishConfig.exports["${subpath}"] should be the same without "@musubi/source"`,
      sameInOrder(manifest.publishConfig?.exports?.[subpath], built),
    );
  }
  say(
    'package.json: publishConfig should have access "public", provenance and the same subpaths as exports',
    manifest.publishConfig?.access === 'public' &&
      manifest.publishConfig.provenance === true &&
      isDeepStrictEqual(Object.keys(manifest.publishConfig.exports), Object.keys(manifest.exports)),
  );
}

/** Conditions are tried in the order in which they are written, so the order counts. */
function sameInOrder(found, expected) {
  return JSON.stringify(found) === JSON.stringify(expected);
}

function checkReadme({ manifest }, readme, say) {
  say(
    `README.md does not begin with "# ${manifest.name}" and a sentence`,
    new RegExp(`^# ${manifest.name}\\n\\n\\S`).test(readme),
  );
  say('README.md still is the skeleton', readme.split('\n').length > 12);
  say(`README.md has more than ${readmeLines} lines`, readme.split('\n').length <= readmeLines);
  for (const { part, pattern } of readmeParts) say(`README.md lacks ${part}`, pattern(manifest.name).test(readme));
}

/** The sources of a package without its tests, by path below src/. */
function readSources(folder) {
  const files = readdirSync(join(folder, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.map((file) => [relative(join(folder, 'src'), file), readFileSync(file, 'utf8')]));
}

function checkDependencies({ name, manifest }, sources, say) {
  const installed = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
  const peers = Object.keys(manifest.peerDependencies ?? {});
  const allowed = allowedDependencies[name];
  if (!say('has no line in allowedDependencies of scripts/check-packages.mjs', allowed !== undefined)) return;
  const unexpected = installed.filter((dependency) => !allowed.includes(dependency));
  say(`installs ${unexpected}, which scripts/check-packages.mjs does not allow`, unexpected.length === 0);
  const required = peers.filter((peer) => manifest.peerDependenciesMeta?.[peer]?.optional !== true);
  say(`the peers ${required} are not optional, so npm installs them`, required.length === 0);

  const used = importedPackages(sources);
  const undeclared = [...used].filter((dependency) => ![...installed, ...peers, manifest.name].includes(dependency));
  say(`imports ${undeclared}, which package.json does not name`, undeclared.length === 0);
  const unused = [...Object.keys(manifest.dependencies ?? {}), ...peers].filter((dependency) => !used.has(dependency));
  say(`package.json names ${unused}, which nothing in src imports`, unused.length === 0);
}

/** Package names in `from '…'` and `import('…')`, types included: declarations refer to them. */
function importedPackages(sources) {
  const names = new Set();
  for (const text of sources.values()) {
    const code = text.replaceAll(/^ *\*.*$/gm, ''); // examples in docstrings are no imports
    for (const [, specifier] of code.matchAll(/(?:\bfrom|\bimport|\bimport\(|\bresolve\() ?'([^'.\n][^'\n]*)'/g)) {
      if (specifier.startsWith('node:')) continue;
      names.add(
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    }
  }
  return names;
}

/**
 * All entries but `./node` bundle for the browser, and our own files in these bundles use no global of Node.js.
 */
async function checkBrowser({ name, folder, manifest }, say) {
  for (const { subpath, source } of entriesOf({ manifest })) {
    if (subpath !== './node') await checkBrowserEntry(name, folder, source.slice('./'.length), say);
  }
}

async function checkBrowserEntry(name, folder, source, say) {
  const problem = `${source} does not bundle for the browser (node: imports belong into src/node.ts)`;
  try {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [join(folder, source)],
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'browser',
      conditions: ['@musubi/source'],
      logLevel: 'silent',
    });
    say(problem, true);
    const own = Object.keys(metafile.inputs).filter((file) => file.startsWith(`packages/${name}/`));
    const guilty = [];
    for (const file of own) if (await usesNodeGlobal(join(root, file))) guilty.push(file);
    say(`${guilty} uses process or Buffer, which browsers lack`, guilty.length === 0);
    if (name in sizeBudgets && source === 'src/index.ts') await checkSize(folder, sizeBudgets[name], say);
  } catch (error) {
    const reasons = (error.errors ?? []).map(({ text, location }) => `${location?.file}:${location?.line}: ${text}`);
    say(`${problem}\n    ${reasons.join('\n    ') || error.message}`, false);
  }
}

async function checkSize(folder, budget, say) {
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'src', 'index.ts')],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    conditions: ['@musubi/source'],
    logLevel: 'silent',
  });
  const bytes = gzipSync(outputFiles[0].contents).length;
  say(`src/index.ts has ${bytes} bytes minified and gzipped, more than ${budget}`, bytes <= budget);
}

/** esbuild's `define` replaces a name only where it is a global, not where it is declared or a property. */
async function usesNodeGlobal(file) {
  const define = { process: '__global_of_node__', Buffer: '__global_of_node__' };
  const { code } = await transform(readFileSync(file, 'utf8'), { loader: 'ts', define });
  return code.includes('__global_of_node__');
}

await runAsScript(import.meta.url, 'packages', checkPackages);
