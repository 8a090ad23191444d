// TypeScript projects of strangers that import every entry of every package, declarations checked too.
import { join } from 'node:path';
import { entriesOf, readJson, root, specifierOf } from '../workspace.mjs';
import { createProject } from './stranger.mjs';

const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true, target: 'ES2022' };

/** Its own declarations name types of pages; only a project that has these can check them. */
const ofOthers = /^node_modules\/onnxruntime-common\//;

/**
 * A project for a bundler, which knows browsers and not Node.js, one for Node.js, and one for Node.js that does not have the
 * types of pages either. All have the same packages installed. An entry that needs an optional peer is left out where that
 * peer is not among the packages.
 */
export function tryTypeScript(packages, { folder, registry, holds }) {
  const project = createProject(join(folder, 'typescript'), registry);
  const tools = ['typescript', '@types/node'].map((name) => `${name}@${installedVersion(name)}`);
  project.install(...packages.map(({ manifest }) => manifest.name), ...tools);

  const released = new Set(packages.map(({ manifest }) => manifest.name));
  const entries = packages.flatMap((pack) =>
    entriesOf(pack)
      .filter(({ subpath }) => subpath !== './graph' || released.has('@musubi/onnx-graph'))
      .map(({ subpath }) => ({ name: pack.name, subpath, specifier: specifierOf(pack, subpath) })),
  );
  const ofBrowsers = entries.filter(({ name, subpath }) => name !== 'cli' && subpath !== './node');
  const ofNode = entries.filter(({ subpath }) => subpath !== './web');
  const check = (title, imported, compilerOptions) => {
    project.write(`${title}.ts`, importAll(imported));
    project.write(
      `tsconfig.${title}.json`,
      JSON.stringify({ compilerOptions: { ...strict, ...compilerOptions }, files: [`${title}.ts`] }),
    );
    const { ok, stdout, stderr } = project.node(
      join('node_modules', 'typescript', 'bin', 'tsc'),
      '-p',
      `tsconfig.${title}.json`,
    );
    const lines = stdout.split(/\r?\n/).filter((line) => line.includes('error TS'));
    const errors = lines.filter((line) => !ofOthers.test(line));
    const isSound = ok || (lines.length > 0 && errors.length === 0);
    holds(`${title}: ${imported.length} entries do not type-check\n${errors.join('\n')}${stderr}`, isSound);
  };
  const pages = ['ES2022', 'DOM', 'DOM.Iterable'];
  const node = { module: 'Node16', moduleResolution: 'node16', types: ['node'] };
  check('bundler', ofBrowsers, { module: 'ESNext', moduleResolution: 'bundler', lib: pages, types: [] });
  check('node16', entries, { ...node, lib: pages });
  check('node16-without-pages', ofNode, { ...node, lib: ['ES2022'] });
}

function installedVersion(name) {
  return readJson(join(root, 'node_modules', name, 'package.json')).version;
}

function importAll(entries) {
  const lines = entries.map(({ specifier }, index) => `import * as entry${index} from '${specifier}';`);
  return `${lines.join('\n')}\nexport const all = [${entries.map((_, index) => `entry${index}`).join(', ')}];\n`;
}
